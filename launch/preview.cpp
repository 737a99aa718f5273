#include "launch/preview.h"

#include <ATen/ops/eye.h>

#include <numeric>

#include "data/loader.h"
#include "data/picture.h"
#include "dist/differentiable.h"
#include "dist/error.h"

namespace saddle {
namespace {

constexpr int64_t kPiece = 500;  // samples drawn at once

torch::Tensor labels_for(const System& system, const Drawing& drawing, Range range) {
  if (system.classes == 0) return {};
  const auto options = torch::dtype(torch::kLong).device(system.context().comm.device());
  if (drawing.label >= 0) return torch::full({range.count}, drawing.label, options);
  return torch::arange(range.first, range.first + range.count, options).remainder(system.classes);
}

// [N, D] -> [N, 2]: the two leading principal components of `real`.
torch::Tensor plane_of(const torch::Tensor& real) {
  if (real.size(1) == 2) return torch::eye(2, real.options());
  const torch::Tensor centred = real - real.mean(0);
  const auto [values, vectors] = torch::linalg_eigh(centred.t().mm(centred));
  return vectors.narrow(1, real.size(1) - 2, 2);  // ascending
}

// Those of the drawing's samples that `part` names; at least one piece, for the shapes, also of none.
Batch draw_part(System& system, const Drawing& drawing, Range part) {
  require(drawing.label < system.classes, Exit::usage, "--label {}: this system has {}", drawing.label,
          system.classes == 0 ? "no labels" : fmt::format("labels 0 to {}", system.classes - 1));
  std::vector<std::pair<std::string, std::vector<torch::Tensor>>> pieces;
  const int64_t end = part.first + part.count;
  for (int64_t first = part.first; first < end || pieces.empty(); first += kPiece) {
    const Range range{first, std::min(kPiece, end - first)};
    Sampling sampling(
        {drawing.seed, "sample", 0, range, system.context().comm.device(), system.context().dtype},
        labels_for(system, drawing, range), drawing.raw);
    Batch drawn;
    const Tape tape = sampling.record([&] { drawn = system.draw(sampling); });
    if (drawing.latents)
      for (size_t k = 0; k < tape.entries.size(); ++k) drawn.set(input_name(k), tape.entries[k].values);
    size_t i = 0;
    for (const auto& [name, tensor] : drawn) {
      if (first == part.first) pieces.emplace_back(name, std::vector<torch::Tensor>());
      pieces[i++].second.push_back(tensor.cpu());
    }
  }
  Batch samples;
  for (const auto& [name, parts] : pieces) samples.set(name, torch::cat(parts));
  return samples;
}

}  // namespace

std::string input_name(size_t i) {
  return i == 0 ? "z" : fmt::format("z{}", i);
}

Batch draw_samples(System& system, const Drawing& drawing) {
  return draw_part(system, drawing, {0, drawing.count});
}

Batch draw_samples(System& system, const Drawing& drawing, const Comm& host) {
  Batch mine, all;
  host.together([&] { mine = draw_part(system, drawing, share(drawing.count, host.rank(), host.size())); });
  for (const auto& [name, tensor] : mine) all.set(name, rows_of_all_ranks(tensor, host, "samples"));
  return all;
}

torch::Tensor real_samples(const Dataset& data, const std::string& field, int64_t first, int64_t count,
                           torch::ScalarType dtype) {
  std::vector<int64_t> indices(std::min(count, data.size() - first));
  std::iota(indices.begin(), indices.end(), first);
  return to_model(data.read(indices)[field], torch::kCPU, dtype);
}

torch::Tensor preview(System& system, const Drawing& drawing, const Dataset* data) {
  const Batch samples = draw_samples(system, drawing);
  const auto& [name, fake] = *samples.begin();
  if (fake.dim() == 4)
    return grid(fake, system.classes > 0 && drawing.label < 0 ? std::min<int64_t>(system.classes, 16) : 0);
  require(data != nullptr, Exit::usage, "a scatter plot needs the data the run was trained on");
  const torch::Tensor points = fake.flatten(1).to(torch::kDouble);
  const torch::Tensor real = real_samples(*data, name, 0, points.size(0), torch::kDouble).flatten(1);
  const torch::Tensor plane = plane_of(real);
  return scatter(real.mm(plane), points.mm(plane));
}

}  // namespace saddle
