#include "launch/evaluate/preview.h"

#include <ATen/ops/eye.h>

#include "data/feed/loader.h"
#include "data/feed/sampler.h"
#include "data/view/caption.h"
#include "data/view/kind.h"
#include "data/view/picture.h"
#include "data/view/sheet.h"
#include "dist/error.h"

namespace saddle {
namespace {

// [N, D] -> [N, 2]: the two leading principal components of `real`. Of one number, that number.
torch::Tensor plane_of(const torch::Tensor& real) {
  if (real.size(1) == 1)
    return torch::cat({torch::ones({1, 1}, real.options()), torch::zeros({1, 1}, real.options())}, 1);
  if (real.size(1) == 2) return torch::eye(2, real.options());
  const torch::Tensor centred = real - real.mean(0);
  const auto [values, vectors] = torch::linalg_eigh(centred.t().mm(centred));
  return vectors.narrow(1, real.size(1) - 2, 2);  // ascending
}

// A grid; classes in turn have a column each and its name above, if there are few enough.
torch::Tensor class_grid(const System& system, const Drawing& drawing, const Schema& schema,
                         const torch::Tensor& images) {
  constexpr int64_t kColumns = 16;
  const bool in_turn = system.classes() > 0 && drawing.label < 0;
  if (!in_turn || system.classes() > kColumns) return grid(images, in_turn ? kColumns : 0);
  std::vector<std::string> names;
  for (int64_t k = 0; k < system.classes(); ++k) names.push_back(class_name(schema["label"], k));
  const torch::Tensor cells = grid(images, system.classes());
  return torch::cat({captions(names, cells.size(2)).narrow(0, 0, cells.size(0)), cells}, 1);
}

// Each sample's given images and what was made of them, side by side in twos or more. `samples` were drawn
// with Drawing::latents.
torch::Tensor beside_given(const System& system, const Batch& samples) {
  constexpr int64_t kColumns = 8, kMost = 32;
  const int64_t count = std::min(samples.size(), kMost);
  std::vector<torch::Tensor> cells;
  const auto add = [&](const torch::Tensor& images) {
    if (images.dim() != 4) return;
    const torch::Tensor some = images.narrow(0, 0, count).to(torch::kFloat);
    cells.push_back(some.size(1) == 1 ? some.expand({-1, 3, -1, -1}) : some);
  };
  auto made = samples.begin();
  for (const Field& field : made_of(system)) {
    add(samples[given_name(field)]);
    if (!made->first.starts_with("given_")) add((made++)->second);
  }
  const auto each = static_cast<int64_t>(cells.size());
  return grid(torch::stack(cells, 1).flatten(0, 1), kColumns / each * each);
}

// Images in rows of eight, over each what it is called: on green if that is right, on red with what it is
// below if it is wrong, on white where the class is not known.
torch::Tensor classified(const Field& label, const torch::Tensor& images, const torch::Tensor& called,
                         const torch::Tensor& known) {
  constexpr int64_t kColumns = 8, kMost = 64;
  const int64_t count = std::min(images.size(0), kMost);
  const auto is = [&](int64_t i) { return called[i].item<int64_t>(); };
  const auto should = [&](int64_t i) { return known[i].item<int64_t>(); };
  const auto name = [&](int64_t number) { return number < 0 ? "?" : class_name(label, number); };
  const auto cells_in_rows = static_cast<size_t>((count + kColumns - 1) / kColumns * kColumns);
  std::vector<std::string> told(cells_in_rows), truth(cells_in_rows);
  size_t longest = 0;
  bool wrong = false;
  for (int64_t i = 0; i < count; ++i) {
    const auto at = static_cast<size_t>(i);
    told[at] = name(is(i));
    if (should(i) >= 0 && is(i) != should(i)) truth[at] = fmt::format("not {}", name(should(i)));
    wrong = wrong || !truth[at].empty();
    longest = std::max({longest, told[at].size(), truth[at].size()});
  }
  for (auto* texts : {&told, &truth})  // one size of letters in all rows
    for (std::string& each : *texts) each.resize(longest, ' ');
  std::vector<torch::Tensor> rows;
  for (int64_t first = 0; first < count; first += kColumns) {
    const int64_t some = std::min(kColumns, count - first);
    const torch::Tensor cells = grid(images.narrow(0, first, some), kColumns);
    const auto strip = [&](const std::vector<std::string>& texts) {
      return captions({texts.begin() + first, texts.begin() + first + kColumns}, cells.size(2));
    };
    torch::Tensor words = wrong ? torch::cat({strip(told), strip(truth)}, 1) : strip(told).clone();
    for (int64_t k = 0; k < some; ++k) {
      if (should(first + k) < 0) continue;
      const bool right = is(first + k) == should(first + k);
      const int64_t from = k * words.size(2) / kColumns, to = (k + 1) * words.size(2) / kColumns;
      for (const int64_t channel : {int64_t{right ? 0 : 1}, int64_t{2}})
        words[channel].narrow(1, from, to - from).clamp_max_(170);
    }
    rows.push_back(torch::cat({words, cells.expand({3, -1, -1})}, 1));
  }
  return torch::cat(rows, 1);
}

// Of a system that tells classes of the field `label`, with those that the data know, if they do.
torch::Tensor classified(const System& system, const Drawing& drawing, const Field& label,
                         const torch::Tensor& called) {
  const Dataset& data = *drawing.data;
  const Range places{0, drawing.count};
  const torch::Tensor images = real_samples(data, system.given.front().name, drawing, places, torch::kFloat);
  // A class of another data set is another, also of the same number.
  const torch::Tensor known = data.schema().has(label.name) && same_classes(data.schema()[label.name], label)
                                  ? real_samples(data, label.name, drawing, places, torch::kFloat)
                                  : torch::full({drawing.count}, -1, torch::kLong);
  return classified(label, images, called.defined() ? called : known, known);
}

// Volumes, videos, label maps: as `saddle check --picture` draws data of their kind. Values are floats, as
// nets make them.
torch::Tensor sheet_of(const Schema& schema, const Batch& samples) {
  Schema drawn;
  Batch values;
  for (const auto& [name, value] : samples) {
    if (!schema.has(name)) continue;
    Field field = schema[name];
    if (!torch::isIntegralType(value.scalar_type(), /*includeBool=*/false)) field.dtype = torch::kFloat;
    values.set(name, value.to(field.dtype));
    drawn.fields.push_back(field);
  }
  return contact_sheet(*in_memory(drawn, values), samples.size(), 0);
}

torch::Tensor scatter_over(const torch::Tensor& real, const torch::Tensor& fake) {
  const torch::Tensor under = real.flatten(1), over = fake.flatten(1).to(torch::kDouble);
  const torch::Tensor plane = plane_of(under);
  if (under.size(1) > 1) return scatter(under.mm(plane), over.mm(plane));
  // Single numbers: two lines, one above the other.
  const double apart = (under.max() - under.min()).item<double>() / 10;
  return scatter(under.mm(plane), over.mm(plane) + apart * torch::eye(2, under.options())[1]);
}

int64_t label_of(const Dataset& data, int64_t sample) {
  const Schema& schema = data.schema();
  int64_t label = 0;
  std::vector<Place> places(schema.fields.size());
  places[static_cast<size_t>(&schema["label"] - schema.fields.data())].row = &label;
  data.read_sample(sample, places);
  return label;
}

// Real images of each class in turn; grey where a search through some thousand samples finds none.
torch::Tensor in_turn(const Dataset& data, const std::string& field, int64_t classes,
                      const Drawing& drawing) {
  constexpr int64_t kPatience = 64, kLeast = 4096;  // samples looked at
  const Shuffle order(data.size(), drawing.seed);
  const int64_t most = std::min(data.size(), std::max(kLeast, kPatience * drawing.count));
  std::vector<int64_t> next(static_cast<size_t>(classes)), places, samples;
  for (int64_t k = 0; k < classes; ++k) next[static_cast<size_t>(k)] = k;
  for (int64_t p = 0; p < most && static_cast<int64_t>(places.size()) < drawing.count; ++p) {
    const int64_t sample = order(p);
    int64_t& place = next.at(static_cast<size_t>(label_of(data, sample)));
    if (place >= drawing.count) continue;
    places.push_back(place);
    samples.push_back(sample);
    place += classes;
  }
  const torch::Tensor found = to_model(data.read(samples)[field], torch::kCPU, torch::kFloat);
  std::vector<int64_t> shape = found.sizes().vec();
  shape[0] = drawing.count;
  return torch::zeros(shape).index_copy(0, torch::tensor(places), found);
}

}  // namespace

torch::Tensor preview(System& system, const Drawing& asked, const Schema& schema, const Dataset* data) {
  Drawing drawing = asked;
  drawing.data = data;
  drawing.latents = !made_of(system).empty();
  const Batch samples = draw_samples(system, drawing);
  if (tells_classes(system))
    return classified(system, drawing, schema[system.target], samples[system.target]);
  if (!made_of(system).empty()) return beside_given(system, samples);
  const auto& [name, fake] = *samples.begin();
  if (fake.dim() == 4) return class_grid(system, drawing, schema, fake);
  if (fake.dim() > 4) return sheet_of(schema, samples);
  require(data != nullptr, Exit::usage, "a scatter plot needs the data the run was trained on");
  return scatter_over(real_samples(*data, name, drawing.seed, {0, drawing.count}, torch::kDouble), fake);
}

torch::Tensor real_preview(System& system, const Drawing& drawing, const Dataset& data) {
  if (tells_classes(system)) {
    Drawing real = drawing;
    real.data = &data;
    return classified(system, real, data.schema()[system.target], {});
  }
  const Batch one = draw_samples(system, {.count = 1, .data = &data});
  const auto& [name, fake] = *one.begin();
  const auto of_order = [&, name = name](Range places, torch::ScalarType dtype) {
    return real_samples(data, name, drawing.seed, places, dtype);
  };
  if (fake.dim() > 4) return contact_sheet(data, drawing.count, drawing.seed);
  if (fake.dim() != 4)
    return scatter_over(of_order({0, drawing.count}, torch::kDouble),
                        of_order({drawing.count, drawing.count}, torch::kDouble));
  return class_grid(system, drawing, data.schema(),
                    system.classes() > 0 ? in_turn(data, name, system.classes(), drawing)
                                         : of_order({0, drawing.count}, torch::kFloat));
}

}  // namespace saddle
