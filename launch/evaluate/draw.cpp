#include "launch/evaluate/draw.h"

#include <algorithm>

#include "data/feed/loader.h"
#include "data/feed/sampler.h"
#include "data/view/kind.h"
#include "dist/error.h"

namespace saddle {
namespace {

// Samples at these places, on the host as they are stored.
Batch rows_at(const Dataset& data, const Drawing& drawing, Range places) {
  const Order order = drawing.in_order ? sequential(data.size()) : Shuffle(data.size(), drawing.seed);
  return data.read(samples_at(order, places.first, places.count));
}

void require_fields(const System& system, const Drawing& drawing) {
  const std::vector<Field> fields = made_of(system);
  if (fields.empty()) return;
  require(drawing.data != nullptr, Exit::usage,
          "this system makes its samples of data, and the data that the run was trained on are not there: "
          "pass --data DIR");
  const Schema& schema = drawing.data->schema();
  for (const Field& field : fields)
    require(schema.has(field.name) && schema[field.name].shape == field.shape, Exit::usage,
            "this system makes its samples of {}; the data have {}: pack them alike",
            describe(Schema{{field}}), describe(schema));
}

Batch given_to(const System& system, const Drawing& drawing, Range range) {
  const torch::Device device = system.context().comm.device();
  const Batch rows = made_of(system).empty() ? Batch() : rows_at(*drawing.data, drawing, range);
  Batch given;
  for (const Field& field : system.given) {
    if (kind_of(field) != Kind::label) {
      given.set(field.name, to_model(rows[field.name], device, system.context().dtype));
      continue;
    }
    const torch::Tensor in_turn =
        torch::arange(range.first, range.first + range.count, torch::dtype(torch::kLong).device(device));
    given.set(field.name, drawing.label >= 0 ? torch::full_like(in_turn, drawing.label)
                                             : in_turn.remainder(field.classes));
  }
  return given;
}

void require_drawable(const System& system, const Drawing& drawing) {
  require(drawing.label < system.classes(), Exit::usage, "--label {}: this system has {}", drawing.label,
          system.classes() == 0 ? "no labels" : fmt::format("labels 0 to {}", system.classes() - 1));
  require_fields(system, drawing);
}

// On the device.
Batch draw_range(System& system, const Drawing& drawing, Range range) {
  Sampling sampling(
      {drawing.seed, "sample", 0, range, system.context().comm.device(), system.context().dtype},
      given_to(system, drawing, range), drawing.raw);
  Batch drawn;
  const Tape tape = sampling.record([&] { drawn = system.draw(sampling); });
  if (!drawing.latents) return drawn;
  for (const Field& field : made_of(system)) drawn.set(given_name(field), sampling.given[field.name]);
  for (size_t k = 0; k < tape.entries.size(); ++k) drawn.set(input_name(k), tape.entries[k].values);
  return drawn;
}

// Of one sample, all its fields.
int64_t bytes_of_one(System& system, const Drawing& drawing) {
  int64_t bytes = 0;
  for (const auto& [name, tensor] : draw_range(system, drawing, {0, 1})) bytes += int64_t(tensor.nbytes());
  return bytes;
}

}  // namespace

bool tells_classes(const System& system) {
  return system.target == "label";
}

bool same_classes(const Field& a, const Field& b) {
  return a.classes == b.classes && a.class_names == b.class_names;
}

bool is_averaged(const System& system) {
  const std::vector<Net> nets = system.nets();
  return std::any_of(nets.begin(), nets.end(), [](const Net& net) { return net.average != nullptr; });
}

std::vector<Field> made_of(const System& system) {
  std::vector<Field> fields = system.given;
  std::erase_if(fields, [](const Field& field) { return kind_of(field) == Kind::label; });
  return fields;
}

std::string given_name(const Field& field) {
  return "given_" + field.name;
}

std::string input_name(size_t i) {
  return i == 0 ? "z" : fmt::format("z{}", i);
}

int64_t samples_at_ease(int64_t bytes) {
  constexpr int64_t kMost = 500, kBytes = int64_t{32} << 20;
  return std::clamp<int64_t>(kBytes / std::max<int64_t>(1, bytes), 1, kMost);
}

Batch draw_samples(System& system, const Drawing& drawing) {
  require_drawable(system, drawing);
  const int64_t piece = samples_at_ease(bytes_of_one(system, drawing));
  std::vector<std::pair<std::string, std::vector<torch::Tensor>>> pieces;
  for (int64_t first = 0; first < drawing.count; first += piece) {
    const Batch drawn = draw_range(system, drawing, {first, std::min(piece, drawing.count - first)});
    size_t i = 0;
    for (const auto& [name, tensor] : drawn) {
      if (first == 0) pieces.emplace_back(name, std::vector<torch::Tensor>());
      pieces[i++].second.push_back(tensor.cpu());
    }
  }
  Batch samples;
  for (const auto& [name, parts] : pieces) samples.set(name, torch::cat(parts));
  return samples;
}

void draw_pieces(System& system, const Drawing& drawing, const Comm& comm, int64_t piece,
                 const std::function<void(const Batch& samples, Range places)>& use) {
  comm.together([&] {
    require_drawable(system, drawing);
    if (piece == 0) piece = samples_at_ease(bytes_of_one(system, drawing)) * comm.size();
  });
  for (int64_t first = 0; first < drawing.count; first += piece) {
    Range mine = share(std::min(piece, drawing.count - first), comm.rank(), comm.size());
    mine.first += first;
    Batch samples;
    comm.together([&] { samples = draw_range(system, drawing, mine); });
    use(samples, mine);
  }
}

torch::Tensor real_samples(const Dataset& data, const std::string& field, const Drawing& drawing,
                           Range places, torch::ScalarType dtype) {
  return to_model(rows_at(data, drawing, places)[field], torch::kCPU, dtype);
}

torch::Tensor real_samples(const Dataset& data, const std::string& field, uint64_t seed, Range places,
                           torch::ScalarType dtype) {
  return real_samples(data, field, Drawing{.seed = seed}, places, dtype);
}

}  // namespace saddle
