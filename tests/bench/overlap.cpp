// How much of a slow network a backward pass hides: one all-reduce after it, PyTorch's c10d::Reducer, and
// Replica, with several sizes of bucket, over the same emulated links, taking turns step by step.
//   mpirun -n 2 --bind-to none bench_overlap        (OMP_NUM_THREADS=1 where ranks share cores)
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <iostream>
#include <map>
#include <torch/csrc/distributed/c10d/HashStore.hpp>
#include <torch/csrc/distributed/c10d/reducer.hpp>

#include "dist/error.h"
#include "dist/replica.h"
#include "tests/support/emulated_link.h"

namespace saddle {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;

struct Options {
  std::string net = "dcgan";
  int64_t batch = 16, rounds = 20;
  std::vector<double> gigabytes{0.5, 0.25};
  double latency = 5e-5;
  bool offload = false, quick = false;
};

struct Layer {
  int64_t in, out, kernel, stride, padding;
};

// Discriminators with 29 MB of weights. "dcgan" has most of them in its last layers (Radford 2016, on 32x32);
// "even" spreads them over twelve equal ones, as residual nets do.
std::vector<Layer> layers(const std::string& net) {
  if (net == "dcgan")
    return {
        {3, 104, 4, 2, 1}, {104, 208, 4, 2, 1}, {208, 416, 4, 2, 1}, {416, 832, 4, 2, 1}, {832, 1, 2, 1, 0}};
  require(net == "even", Exit::usage, "--net is dcgan or even, found '{}'", net);
  std::vector<Layer> made{{3, 256, 4, 4, 0}};
  for (int i = 0; i < 12; ++i) made.push_back({256, 256, 3, 1, 1});
  made.push_back({256, 1, 8, 1, 0});
  return made;
}

class Net {
 public:
  explicit Net(const std::string& name) : layers_(layers(name)) {
    for (const Layer& l : layers_) {
      const double scale = std::sqrt(2.0 / static_cast<double>(l.in * l.kernel * l.kernel));
      const torch::Tensor weight = torch::randn({l.out, l.in, l.kernel, l.kernel}, torch::kFloat) * scale;
      weights_.push_back(weight.detach().set_requires_grad(true));
    }
  }
  torch::Tensor loss(torch::Tensor x) const {
    for (size_t i = 0; i < layers_.size(); ++i) {
      if (i > 0) x = torch::leaky_relu(x, 0.2);
      x = torch::conv2d(x, weights_[i], {}, layers_[i].stride, layers_[i].padding);
    }
    return torch::softplus(x).mean();
  }
  const std::vector<torch::Tensor>& weights() const { return weights_; }

 private:
  std::vector<Layer> layers_;
  std::vector<torch::Tensor> weights_;
};

// What stands between a backward pass and the ranks' common gradient.
class Sync {
 public:
  virtual ~Sync() = default;
  virtual void zero() = 0;
  virtual void arm(const torch::Tensor& loss) = 0;  // before the backward pass
  virtual void finish() = 0;                        // after it
};

// This rank by itself.
class NoSync final : public Sync {
 public:
  explicit NoSync(const Net& net) : weights_(net.weights()) {}
  void zero() override {
    for (const torch::Tensor& w : weights_) w.mutable_grad().reset();
  }
  void arm(const torch::Tensor&) override {}
  void finish() override {}

 private:
  std::vector<torch::Tensor> weights_;
};

class OurSync final : public Sync {
 public:
  OurSync(const Comm& comm, const Net& net, Reduction how) : replica_(comm, named(net), how) {}
  void zero() override { replica_.zero_grad(); }
  void arm(const torch::Tensor&) override { replica_.arm(); }
  void finish() override { replica_.finish(); }

 private:
  static Replica::Named named(const Net& net) {
    Replica::Named made;
    for (const torch::Tensor& w : net.weights()) made.emplace_back(std::to_string(made.size()), w);
    return made;
  }
  Replica replica_;
};

// As torch.nn.parallel.DistributedDataParallel drives it, with gradients that are views of the buckets.
class TheirSync final : public Sync {
 public:
  TheirSync(const Comm& comm, const Net& net, int64_t cap) : weights_(net.weights()) {
    auto group = c10::make_intrusive<c10d::ProcessGroup>(c10::make_intrusive<c10d::HashStore>(), comm.rank(),
                                                         comm.size());
    group->setBackend(c10::DeviceType::CPU, c10d::ProcessGroup::CUSTOM,
                      c10::intrusive_ptr<c10d::Backend>::reclaim_copy(comm.backend().get()));
    const std::vector<bool> sparse(weights_.size(), false);
    auto buckets = std::get<0>(
        c10d::compute_bucket_assignment_by_size(weights_, {size_t(kMiB), static_cast<size_t>(cap)}, sparse));
    std::reverse(buckets.begin(), buckets.end());
    reducer_ =
        std::make_unique<c10d::Reducer>(weights_, buckets, group, sparse, cap,
                                        /*find_unused_parameters=*/false, /*gradient_as_bucket_view=*/true,
                                        std::unordered_map<size_t, std::string>{}, kMiB,
                                        /*skip_all_reduce_unused_params=*/false,
                                        /*use_python_reducer=*/false, std::vector<int64_t>{});
  }
  void zero() override {
    for (const torch::Tensor& w : weights_) w.mutable_grad().reset();
  }
  void arm(const torch::Tensor& loss) override {
    reducer_->rebuild_buckets();
    reducer_->prepare_for_backward({});
  }
  void finish() override {}

 private:
  std::vector<torch::Tensor> weights_;
  std::unique_ptr<c10d::Reducer> reducer_;
};

struct Times {
  double step = 0, backward = 0;  // seconds
  double processor = 0;           // of the thread that computes, which other jobs do not lengthen
};

double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

struct Contestant {
  std::string name;
  Net net;
  std::unique_ptr<Sync> sync;
  std::vector<Times> times = {};

  // One training step but for the optimizer, the same for all.
  void step(const Comm& comm, const torch::Tensor& images) {
    using Clock = std::chrono::steady_clock;
    const auto seconds = [](auto from, auto to) { return std::chrono::duration<double>(to - from).count(); };
    comm.barrier();
    const double processor = processor_seconds();
    const auto start = Clock::now();
    sync->zero();
    const torch::Tensor loss = net.loss(images);
    sync->arm(loss);
    const auto forward = Clock::now();
    loss.backward();
    const auto backward = Clock::now();
    sync->finish();
    times.push_back(
        {seconds(start, Clock::now()), seconds(forward, backward), processor_seconds() - processor});
  }
};

double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  const double at = q * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(at);
  const size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (at - static_cast<double>(below)) * (values[above] - values[below]);
}

// Contestants over one link, and the rounds they took.
class Field {
 public:
  Field(const Options& options, const Comm& plain, test::Link link)
      : options_(options), plain_(plain), link_(test::emulate(plain, link)) {}

  void ours(const std::string& name, Reduction how) {
    add(name, [&](const Net& net) { return std::make_unique<OurSync>(link_, net, how); });
  }
  void theirs(const std::string& name, int64_t cap) {
    add(name, [&](const Net& net) { return std::make_unique<TheirSync>(link_, net, cap); });
  }
  void alone(const std::string& name) {
    add(name, [&](const Net& net) { return std::make_unique<NoSync>(net); });
  }

  // Each round is a step of everybody, in another order each time; two to warm up.
  void run() {
    const torch::Tensor images = torch::randn({options_.batch, 3, 32, 32}, torch::kFloat);
    for (int64_t round = -2; round < options_.rounds; ++round) {
      if (round == 0)
        for (Contestant& c : field_) c.times.clear();
      for (size_t i = 0; i < field_.size(); ++i)
        field_[(i + static_cast<size_t>(round + 2)) % field_.size()].step(plain_, images);
    }
    for (Contestant& c : field_) slowest_rank(c);
  }
  // Lower quartiles: other jobs on the machine can only add.
  Times times(const std::string& name) const {
    const auto of_part = [&](double Times::*part) {
      std::vector<double> values;
      for (const Times& t : of(name).times) values.push_back(t.*part);
      return quantile(values, 0.25);
    };
    return {of_part(&Times::step), of_part(&Times::backward), of_part(&Times::processor)};
  }
  // Median over the rounds of one's time by the other's.
  double ratio(const std::string& one, const std::string& other, double Times::*part = &Times::step) const {
    std::vector<double> ratios;
    const auto &a = of(one).times, &b = of(other).times;
    for (size_t i = 0; i < a.size(); ++i) ratios.push_back(a[i].*part / (b[i].*part));
    return quantile(ratios, 0.5);
  }
  std::vector<std::string> names() const {
    std::vector<std::string> made;
    for (const Contestant& c : field_) made.push_back(c.name);
    return made;
  }

 private:
  template <class Make>
  void add(const std::string& name, Make make) {
    Contestant made{.name = name, .net = Net(options_.net), .sync = nullptr};
    made.sync = make(made.net);
    field_.push_back(std::move(made));
  }
  void slowest_rank(Contestant& c) {
    for (Times& t : c.times) {
      const torch::Tensor all = torch::tensor({t.step, t.backward, t.processor}, torch::kDouble);
      plain_.all_reduce(all, Reduce::max);
      const auto* row = all.data_ptr<double>();
      t = {row[0], row[1], row[2]};
    }
  }
  const Contestant& of(const std::string& name) const {
    return *std::find_if(field_.begin(), field_.end(), [&](const Contestant& c) { return c.name == name; });
  }

  const Options& options_;
  Comm plain_, link_;
  std::vector<Contestant> field_;
};

constexpr const char* kAlone = "no communication";
constexpr const char* kFlat = "one all-reduce after backward";
constexpr const char* kAutomatic = "Replica, automatic";

std::string bucket(const char* who, int64_t mib) {
  return fmt::format("{}, {} MiB", who, mib);
}

void slow_link(const Options& options, const Comm& comm, double gigabytes) {
  Field field(options, comm,
              {.latency = options.latency, .bandwidth = gigabytes * 1e9, .offload = options.offload});
  field.alone(kAlone);
  field.ours(kFlat, {.first_bytes = INT64_MAX, .bytes = INT64_MAX});
  for (const int64_t mib : {4, 8, 25}) field.theirs(bucket("c10d::Reducer", mib), mib * kMiB);
  std::vector<std::string> sized;
  for (const int64_t mib : {1, 4, 8, 16, 25}) {
    sized.push_back(bucket("Replica", mib));
    field.ours(sized.back(), {.bytes = mib * kMiB});
  }
  field.ours(kAutomatic, {});
  field.run();
  if (comm.rank() != 0) return;

  const double compute = field.times(kAlone).step, flat = field.times(kFlat).step,
               backward = field.times(kAlone).backward;
  const double hideable = std::min(flat - compute, backward);
  fmt::print(
      "\n{} GB/s, {:.0f} us a collective: backward {:.1f} ms, communication {:.1f} ms, hideable {:.1f} ms\n",
      gigabytes, options.latency * 1e6, backward * 1e3, (flat - compute) * 1e3, hideable * 1e3);
  fmt::print("  {:<32}{:>10}{:>10}\n", "", "step, ms", "hidden");
  for (const std::string& name : field.names())
    fmt::print("  {:<32}{:>10.1f}{:>8.0f} %\n", name, field.times(name).step * 1e3,
               100 * (flat - field.times(name).step) / hideable);
  const std::string best = *std::min_element(sized.begin(), sized.end(), [&](const auto& a, const auto& b) {
    return field.times(a).step < field.times(b).step;
  });
  fmt::print("  automatic by the best fixed size ({}): {:.3f}\n", best, field.ratio(kAutomatic, best));
}

void same_transport(const Options& options, const Comm& comm) {
  const std::string theirs = bucket("c10d::Reducer", 25), ours = bucket("Replica", 25);
  Field field(options, comm, {});
  field.alone(kAlone);
  field.theirs(theirs, 25 * kMiB);
  field.ours(ours, {.bytes = 25 * kMiB});
  field.ours(kAutomatic, {});
  field.run();
  if (comm.rank() != 0) return;
  fmt::print("\nthe ranks' own link, {} rounds\n  {:<32}{:>10}{:>24}\n", options.rounds, "", "step, ms",
             "own thread's share, ms");
  for (const std::string& name : field.names())
    fmt::print("  {:<32}{:>10.1f}{:>24.1f}\n", name, field.times(name).step * 1e3,
               field.times(name).processor * 1e3);
  for (const std::string& name : {ours, std::string(kAutomatic)})
    fmt::print("  {} by {}, median of paired steps: {:.3f}, of their own threads: {:.3f}\n", name, theirs,
               field.ratio(name, theirs), field.ratio(name, theirs, &Times::processor));
}

int run(World& world, const Options& options) {
  const Comm comm = world.comm("cpu");
  if (comm.rank() == 0)
    fmt::print("{} net, batch {} a rank, {} ranks\n", options.net, options.batch, comm.size());
  same_transport(options, comm);
  for (const double gigabytes : options.gigabytes)
    if (gigabytes > 0) slow_link(options, comm, gigabytes);
  return 0;
}

}  // namespace
}  // namespace saddle

int main(int argc, char** argv) {
  saddle::Options options;
  CLI::App app("bench_overlap: how much of a slow network a backward pass hides");
  app.add_option("--net", options.net, "dcgan: weights mostly in its last layers; even: equal layers");
  app.add_option("--batch", options.batch, "Images a rank");
  app.add_option("--rounds", options.rounds, "Steps of each contestant");
  app.add_option("--bandwidth", options.gigabytes, "Of the emulated links, GB/s; 0: none");
  app.add_option("--latency", options.latency, "Of a collective over them, seconds");
  app.add_flag("--offload", options.offload, "Leave the sums out, as if a network card made them");
  app.add_flag("--quick", options.quick, "One round: only to see that it runs");
  CLI11_PARSE(app, argc, argv);
  if (options.quick) options.rounds = 1, options.batch = 1, options.gigabytes = {5};
  saddle::World world(argc, argv);
  return saddle::run(world, options);
}
