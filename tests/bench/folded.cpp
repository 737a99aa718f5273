// What folding resampling into convolutions gains: WGAN-GP's residual nets of 32x32 (Gulrajani 2017,
// appendix C) with and without, from the same weights, taking turns: a critic step with its penalty (double
// backward), a generator step, and five of the one and one of the other. First that both compute the same in
// float64.
//   OMP_NUM_THREADS=1 bench_folded [--width 64] [--batch 32] [--rounds 20]
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <iostream>

#include "dist/error.h"
#include "losses/penalty.h"
#include "models/nets/nets.h"

namespace saddle {
namespace {

using torch::Tensor;

struct Options {
  int64_t width = 64, batch = 32, rounds = 20;
  bool quick = false;
};

struct Pair {
  std::shared_ptr<Network> g, d;
};

Pair nets(const Options& o, bool folded, torch::ScalarType dtype) {
  const Field image{
      .name = "image", .shape = {3, 32, 32}, .dtype = torch::kByte, .classes = 0, .class_names = {}};
  const NetShape shape{.field = image, .latent = 128};
  Maker make(World::alone(), 1);
  const Pair made{resnet_generator(make, shape, {.width = o.width, .norm = "batch"}, folded),
                  resnet_discriminator(make, shape, {.width = o.width}, folded)};
  for (const auto& net : {made.g, made.d}) {
    net->to(torch::kCPU, dtype);
    if (dtype == torch::kFloat) net->channels_last();
    for (const auto& [name, weight] : net->parameters()) weight.set_requires_grad(true);
  }
  return made;
}

void clear(const Network& net) {
  for (const auto& [name, weight] : net.parameters()) weight.mutable_grad().reset();
}

Tensor noise(at::IntArrayRef shape, const char* name, torch::ScalarType dtype) {
  return normal({3, name}, {0, shape[0]}, shape.slice(1), dtype);
}

void critic_step(const Pair& nets, int64_t batch, torch::ScalarType dtype) {
  clear(*nets.d);
  const Tensor real = noise({batch, 3, 32, 32}, "real", dtype).tanh();
  Tensor fake;
  {
    const at::NoGradGuard no_grad;
    fake = nets.g->forward({noise({batch, 128}, "z", dtype)}).x;
  }
  const auto d = [&](const Tensor& x) { return nets.d->forward({x}).x; };
  const Tensor alpha = uniform({3, "alpha"}, {0, batch}, {}, dtype);
  (d(fake).mean() - d(real).mean() + 10 * gradient_penalty(d, real, fake, alpha)).backward();
}

void generator_step(const Pair& nets, int64_t batch, torch::ScalarType dtype) {
  clear(*nets.g);
  (-nets.d->forward({nets.g->forward({noise({2 * batch, 128}, "z", dtype)}).x}).x.mean()).backward();
}

// Of all gradients, over the largest.
double difference(const Network& a, const Network& b) {
  double largest = 0, apart = 0;
  const Named x = a.parameters(), y = b.parameters();
  for (size_t i = 0; i < x.size(); ++i) {
    if (!x[i].second.grad().defined()) continue;
    largest = std::max(largest, x[i].second.grad().abs().max().item<double>());
    apart = std::max(apart, (x[i].second.grad() - y[i].second.grad()).abs().max().item<double>());
  }
  return apart / largest;
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + int64_t(values.size()) / 2, values.end());
  return values[values.size() / 2];
}

template <class Work>
double seconds(Work work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void compare(const Options& o, const char* name, void (*step)(const Pair&, int64_t, torch::ScalarType)) {
  const Pair plain = nets(o, false, torch::kFloat), folded = nets(o, true, torch::kFloat);
  std::vector<double> a, b, ratios;
  for (int64_t i = 0; i <= o.rounds; ++i) {
    const double p = seconds([&] { step(plain, o.batch, torch::kFloat); });
    const double f = seconds([&] { step(folded, o.batch, torch::kFloat); });
    if (i == 0) continue;  // warm-up
    a.push_back(p);
    b.push_back(f);
    ratios.push_back(p / f);
  }
  std::cout << fmt::format("{:<34} {:8.1f} ms {:8.1f} ms   x{:.2f}\n", name, 1e3 * median(a), 1e3 * median(b),
                           median(ratios));
}

void run(const Options& o) {
  const Options small{.width = 8, .batch = 4};
  const Pair plain = nets(small, false, torch::kDouble), folded = nets(small, true, torch::kDouble);
  for (const Pair& pair : {plain, folded}) {
    critic_step(pair, small.batch, torch::kDouble);
    generator_step(pair, small.batch, torch::kDouble);
  }
  std::cout << fmt::format(
      "float64, gradients of a critic and a generator step apart by {:.1e} and {:.1e} of the largest\n",
      difference(*plain.d, *folded.d), difference(*plain.g, *folded.g));
  std::cout << fmt::format("{:<34} {:>11} {:>11}\n",
                           fmt::format("width {}, batch {}, float32", o.width, o.batch), "unfolded",
                           "folded");
  compare(o, "critic step with penalty", critic_step);
  compare(o, "generator step", generator_step);
  compare(o, "five critic steps and a generator's",
          [](const Pair& pair, int64_t batch, torch::ScalarType dtype) {
            for (int i = 0; i < 5; ++i) critic_step(pair, batch, dtype);
            generator_step(pair, batch, dtype);
          });
}

}  // namespace
}  // namespace saddle

int main(int argc, char** argv) {
  saddle::Options options;
  CLI::App app("Residual nets with resampling folded into convolutions, and without");
  app.add_option("--width", options.width, "Channels")->capture_default_str();
  app.add_option("--batch", options.batch, "Samples a critic step")->capture_default_str();
  app.add_option("--rounds", options.rounds, "Of each, taking turns")->capture_default_str();
  app.add_flag("--quick", options.quick, "That it runs");
  CLI11_PARSE(app, argc, argv);
  if (options.quick) options = {.width = 8, .batch = 2, .rounds = 1};
  saddle::run(options);
}
