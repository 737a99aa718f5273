#include "data/view/sheet.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>

#include "data/feed/sampler.h"
#include "data/view/caption.h"
#include "data/view/kind.h"
#include "data/view/tile.h"
#include "dist/error.h"

namespace saddle {
namespace {

constexpr int64_t kAClass = 8;
constexpr int64_t kPoints = 4096, kReadBytes = int64_t{256} << 20;  // of a figure

// The field whose classes samples are sorted by: `label`, else the first like it.
const Field* label_of(const Schema& schema) {
  const Field* first = nullptr;
  for (const Field& field : schema.fields) {
    if (kind_of(field) != Kind::label) continue;
    if (field.name == "label") return &field;
    if (!first) first = &field;
  }
  return first;
}

std::vector<int64_t> evenly(int64_t size, int64_t samples) {
  std::vector<int64_t> out(size_t(std::min(size, samples)));
  for (size_t i = 0; i < out.size(); ++i) out[i] = int64_t(i) * size / int64_t(out.size());
  return out;
}

// Reads samples in random order until every class has its share or a few times as many as that were read.
class ClassSearch {
 public:
  ClassSearch(const Dataset& data, const Field& label, int64_t samples)
      : data_(data), label_(label), share_(std::clamp(samples / label.classes, int64_t{1}, kAClass)) {
    // Of more classes than samples, evenly spread ones.
    for (const int64_t c : evenly(label.classes, samples)) found_[c];
  }

  std::vector<Choice> run(uint64_t seed) {
    const Shuffle shuffle(data_.size(), seed);
    const int64_t wanted = share_ * int64_t(found_.size());
    const int64_t most = std::min(data_.size(), std::max(kLeast, kPatience * label_.classes * share_));
    for (int64_t p = 0; p < most && full_ < wanted; p += kAtOnce)
      look(shuffle, p, std::min(most, p + kAtOnce));
    std::vector<Choice> out;
    for (auto& [label, samples] : found_) {
      std::sort(samples.begin(), samples.end());
      if (!samples.empty()) out.push_back({class_name(label_, label), samples});
    }
    return out;
  }

 private:
  static constexpr int64_t kAtOnce = 32, kPatience = 4, kLeast = 2048;

  void look(const Shuffle& shuffle, int64_t from, int64_t until) {
    std::vector<int64_t> samples;
    for (int64_t p = from; p < until; ++p) samples.push_back(shuffle(p));
    const torch::Tensor labels = data_.read(samples)[label_.name].to(torch::kLong);
    for (size_t i = 0; i < samples.size(); ++i) {
      const auto at = found_.find(labels.data_ptr<int64_t>()[i]);
      if (at == found_.end() || int64_t(at->second.size()) >= share_) continue;
      at->second.push_back(samples[i]);
      ++full_;
    }
  }

  const Dataset& data_;
  const Field& label_;
  const int64_t share_;  // of each class
  std::map<int64_t, std::vector<int64_t>> found_;
  int64_t full_ = 0;  // samples found
};

// Steps of a variable field, its longest of others.
int64_t length_in(const Batch& batch, const Field& field) {
  const std::string name = field.name + "_length";
  if (field.variable && batch.has(name)) return batch[name].item<int64_t>();
  return field.shape.empty() ? 0 : field.shape[0];
}

bool between(const TileRange& range, double low, double high) {
  return range.low >= low && range.high <= high;
}

// What is drawn black and white: of floats [-1, 1] or [0, 1] if all that is shown lies there.
TileRange range_of(const Dataset& data, const std::vector<Choice>& choice, const Field& field) {
  if (field.dtype == torch::kByte) return {0, 255};
  if (field.dtype == torch::kUInt16) return {0, 65535};
  TileRange range{0, 0};
  bool first = true;
  for (const Choice& each : choice)
    for (const int64_t i : each.samples) {
      const torch::Tensor values = data.read({i})[field.name].to(torch::kDouble).nan_to_num(0, 0, 0);
      const double low = values.min().item<double>(), high = values.max().item<double>();
      range = first ? TileRange{low, high} : TileRange{std::min(range.low, low), std::max(range.high, high)};
      first = false;
    }
  if (between(range, 0, 1)) return {0, 1};
  if (between(range, -1, 1)) return {-1, 1};
  return range;
}

struct Shown {
  Field field;
  TileRange range;
};

torch::Tensor cell(const Dataset& data, int64_t sample, const std::vector<Shown>& fields) {
  const Batch batch = data.read({sample});
  std::vector<torch::Tensor> tiles;
  for (const auto& [field, range] : fields)
    tiles.push_back(tile(field, batch[field.name][0], length_in(batch, field), range));
  return beside(tiles);
}

std::vector<std::string> pictorial(const Schema& schema) {
  std::vector<std::string> out;
  for (const Field& field : schema.fields)
    if (is_pictorial(kind_of(field))) out.push_back(field.name);
  return out;
}

int64_t columns_for(const torch::Tensor& cell, int64_t count) {
  const double side = std::sqrt(double(count * cell.size(1)) / double(cell.size(2)));
  return std::max<int64_t>(1, int64_t(std::ceil(side)));
}

bool is_special(const std::string& token) {  // <pad>, <end>
  return token.size() > 2 && token.front() == '<' && token.back() == '>';
}

bool is_word(const std::string& token) {
  return token.size() >= 2 &&
         std::all_of(token.begin(), token.end(), [](unsigned char c) { return std::isalpha(c) || c >= 128; });
}

// Characters and SMILES tokens are written together, words apart: most words have two letters or more.
bool needs_spaces(const Field& field) {
  int64_t words = 0, all = 0;
  for (const std::string& token : field.class_names)
    if (!is_special(token)) ++all, words += is_word(token);
  return all == 0 || 2 * words > all;
}

std::string decode(const Field& field, const torch::Tensor& tokens, int64_t length) {
  constexpr int64_t kLongest = 400;
  const bool spaces = needs_spaces(field);
  const torch::Tensor all = tokens.to(torch::kLong).contiguous();
  std::string out;
  for (int64_t t = 0; t < std::min(length, kLongest); ++t) {
    const int64_t token = all.data_ptr<int64_t>()[t];
    if (spaces && t > 0) out += ' ';
    out += token >= 0 && token < field.classes ? class_name(field, token) : "?";
  }
  return length > kLongest ? out + " ..." : out;
}

// [N, ...] of one field and, if there is one, the labels beside it, for figures of many samples.
struct Many {
  torch::Tensor values, labels;
};

Many read_column(const Dataset& data, const Field& field, uint64_t seed) {
  const Field* label = label_of(data.schema());
  const Shuffle shuffle(data.size(), seed);
  const int64_t affordable =
      std::max(kPoints / 64, kReadBytes / std::max<int64_t>(1, data.schema().sample_bytes()));
  const int64_t count = std::min({data.size(), kPoints, affordable});
  std::vector<torch::Tensor> values, labels;
  for (int64_t p = 0; p < count; ++p) {
    const Batch one = data.read({shuffle(p)});
    values.push_back(one[field.name]);
    if (field.variable) values.back() = values.back().narrow(1, 0, length_in(one, field));
    if (label) labels.push_back(one[label->name].to(torch::kLong));
  }
  if (field.variable)
    for (auto& value : values) value = value.flatten();
  return {torch::cat(values), label ? torch::cat(labels) : torch::Tensor()};
}

std::vector<Strip> histogram(const torch::Tensor& column) {
  torch::Tensor values = column.to(torch::kDouble).flatten();
  values = values.index({values.isfinite()});
  if (values.numel() == 0) return {};
  constexpr int64_t kBins = 64;
  const double low = values.min().item<double>(), high = values.max().item<double>();
  const double width = std::max((high - low) / double(kBins), 1e-300);
  const torch::Tensor bins = ((values - low) / width).to(torch::kLong).clamp(0, kBins - 1);
  return {{fmt::format("{:.6g} to {:.6g}", low, high), bars(torch::bincount(bins, {}, kBins))}};
}

// Under the name of its class.
Strip named(const Strip& strip) {
  if (strip.caption.empty()) return strip;
  return {strip.caption, torch::cat({captions({strip.caption}, strip.picture.size(2)), strip.picture}, 1)};
}

// Pictures; for want of them points, or else numbers.
std::vector<Strip> drawable(const Dataset& data, int64_t samples, uint64_t seed) {
  const auto& fields = data.schema().fields;
  if (const auto names = pictorial(data.schema()); !names.empty()) {
    std::vector<Strip> out;
    for (const Strip& strip : picture_strips(data, choose_samples(data, samples, seed), names))
      out.push_back(named(strip));
    return out;
  }
  std::vector<Strip> out;
  for (const Kind kind : {Kind::points, Kind::numbers}) {
    for (const Field& field : fields)
      if (kind_of(field) == kind)
        for (Strip& strip : figure_strips(data, field.name, seed)) out.push_back(std::move(strip));
    if (!out.empty()) break;
  }
  return out;
}

}  // namespace

std::vector<Choice> choose_samples(const Dataset& data, int64_t samples, uint64_t seed) {
  if (const Field* label = label_of(data.schema()))
    if (auto found = ClassSearch(data, *label, samples).run(seed); !found.empty()) return found;
  return {{"", evenly(data.size(), samples)}};
}

std::vector<Strip> picture_strips(const Dataset& data, const std::vector<Choice>& choice,
                                  const std::vector<std::string>& names) {
  std::vector<Shown> fields;
  for (const std::string& name : names)
    fields.push_back({data.schema()[name], range_of(data, choice, data.schema()[name])});
  const bool by_class = choice.size() > 1 || !choice.at(0).caption.empty();
  size_t most = 0;
  for (const Choice& each : choice) most = std::max(most, each.samples.size());
  std::vector<Strip> out;
  for (const Choice& each : choice) {
    std::vector<torch::Tensor> cells;
    for (const int64_t sample : each.samples) cells.push_back(cell(data, sample, fields));
    const int64_t columns = by_class ? int64_t(most) : columns_for(cells.at(0), int64_t(cells.size()));
    out.push_back({each.caption, lay_out(cells, columns)});
  }
  return out;
}

std::vector<Strip> figure_strips(const Dataset& data, const std::string& name, uint64_t seed) {
  const Field& field = data.schema()[name];
  const Many column = read_column(data, field, seed);
  if (kind_of(field) != Kind::points) return histogram(column.values);
  return {{"first two dimensions", scatter_by_class(column.values, column.labels)}};
}

std::vector<std::string> text_lines(const Dataset& data, const std::vector<Choice>& choice,
                                    const std::string& name) {
  const Field& field = data.schema()[name];
  std::vector<std::string> out;
  for (const Choice& each : choice)
    for (const int64_t sample : each.samples) {
      const Batch batch = data.read({sample});
      out.push_back((each.caption.empty() ? "" : each.caption + ": ") +
                    decode(field, batch[name][0], length_in(batch, field)));
    }
  return out;
}

torch::Tensor contact_sheet(const Dataset& data, int64_t samples, uint64_t seed) {
  const std::vector<Strip> strips = drawable(data, samples, seed);
  require(
      !strips.empty(), Exit::usage,
      "nothing to draw in {}: pictures, label maps, volumes, videos, points and numbers can be drawn; text "
      "and labels are in the page that --report writes",
      describe(data.schema()));
  std::vector<torch::Tensor> pictures;
  for (const Strip& strip : strips) pictures.push_back(strip.picture);
  return stack_rows(pictures);
}

}  // namespace saddle
