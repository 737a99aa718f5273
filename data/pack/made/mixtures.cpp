// Mixtures of Gaussians, the classic tests of mode coverage: nothing to download, and the truth is known.
// Sample i is a function of (seed, i).
#include <cmath>
#include <map>
#include <numbers>

#include <ATen/ops/cartesian_prod.h>

#include "data/pack/importers.h"
#include "dist/error.h"
#include "dist/random.h"

namespace saddle {
namespace {

constexpr int64_t kSamples = 100'000;
constexpr uint64_t kCentreSeed = 10;  // hd10's centres belong to its definition, whatever --seed is

struct Mixture {
  torch::Tensor centers;  // float32 [modes, D]
  double sigma;
};

Mixture ring8() {  // VEEGAN's, radius 1
  torch::Tensor centers = torch::empty({8, 2});
  for (int64_t i = 0; i < 8; ++i) {
    centers[i][0] = std::cos(std::numbers::pi * double(i) / 4);
    centers[i][1] = std::sin(std::numbers::pi * double(i) / 4);
  }
  return {.centers = centers, .sigma = 0.01};
}

Mixture grid25() {
  const torch::Tensor line = torch::arange(-4, 5, 2, torch::kFloat);
  return {.centers = torch::cartesian_prod({line, line}).contiguous(), .sigma = 0.05};
}

Mixture hd10() {
  return {
      .centers = normal(Stream(kCentreSeed, "hd10 centers"), {.first = 0, .count = 10}, {64}, torch::kFloat),
      .sigma = 0.1};
}

const std::map<std::string, Mixture (*)()> kTable{{"ring8", ring8}, {"grid25", grid25}, {"hd10", hd10}};

nlohmann::json rows(const torch::Tensor& matrix) {
  nlohmann::json out = nlohmann::json::array();
  for (int64_t i = 0; i < matrix.size(0); ++i) {
    const float* row = matrix.const_data_ptr<float>() + i * matrix.size(1);
    out.push_back(std::vector<double>(row, row + matrix.size(1)));
  }
  return out;
}

torch::Tensor draw(const Mixture& mixture, const Stream& which, const Stream& noise, int64_t i) {
  const Range one{.first = i, .count = 1};
  const int64_t dims = mixture.centers.size(1);
  torch::Tensor x = normal(noise, one, {dims}, torch::kFloat);
  const int64_t mode = integers(which, one, mixture.centers.size(0)).item<int64_t>();
  const float* center = mixture.centers.const_data_ptr<float>() + mode * dims;
  float* to = x.data_ptr<float>();
  for (int64_t d = 0; d < dims; ++d) to[d] = center[d] + float(mixture.sigma) * to[d];
  return x;
}

Source open_mixture(const PackRequest& request) {
  require(!request.size && !request.channels, Exit::usage,
          "{} has no pictures: leave out --size and --channels", request.source);
  const auto named = kTable.find(request.source);
  require(named != kTable.end(), Exit::usage, "{}: expected ring8, grid25 or hd10", request.source);
  const Mixture mixture = named->second();
  const Stream which(request.seed, "mixture mode"), noise(request.seed, "mixture noise");
  Source source{.count = request.samples ? request.samples : kSamples, .sample = [=](int64_t i) {
                  return Batch{{"x", draw(mixture, which, noise, i)}};
                }};
  source.schema.fields.push_back(
      {.name = "x", .shape = {mixture.centers.size(1)}, .dtype = torch::kFloat, .class_names = {}});
  source.provenance = {{"source", request.source},
                       {"seed", request.seed},
                       {"mixture", {{"centers", rows(mixture.centers)}, {"sigma", mixture.sigma}}}};
  return source;
}

}  // namespace

const Importer kMixtures{.name = "mixtures",
                         .takes = "ring8, grid25 or hd10: generated mixtures of Gaussians",
                         .flags = "",
                         .accepts = [](const PackRequest& request) -> Why {
                           if (!kTable.contains(request.source)) return {};
                           return "the name of a generated set";
                         },
                         .open = open_mixture};

}  // namespace saddle
