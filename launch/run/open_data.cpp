#include "launch/run/open_data.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <regex>
#include <set>
#include <sstream>

#include "data/feed/decorators.h"
#include "data/store/index.h"
#include "data/store/staging.h"
#include "dist/agree.h"
#include "dist/error.h"
#include "dist/flight.h"
#include "dist/kernel.h"
#include "dist/log.h"
#include "dist/random.h"
#include "dist/utf8.h"

namespace saddle {
namespace {

constexpr int64_t kUnasked = int64_t{1} << 30;  // bytes held in memory by data.cache = auto, at most
constexpr double kMemoryShare = 0.8;            // of what is available, for a cache

std::vector<double> parse_weights(const std::string& text) {
  std::vector<double> weights;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, ',');) {
    char* end = nullptr;
    weights.push_back(std::strtod(part.c_str(), &end));
    require(!part.empty() && *end == '\0', Exit::usage,
            "data.weights: expected a number for each class, such as 1,1,2.5; found '{}'", text);
  }
  return weights;
}

Order order_of(const Dataset& data, const TrainOptions& o, uint64_t seed) {
  require(o.weights.empty() || o.order == "weighted", Exit::usage,
          "data.weights is for data.order = \"weighted\", which is \"{}\"", o.order);
  if (o.order == "sequential") return sequential(data.size());
  if (o.order == "local") return local_shuffle(data.size(), o.window, o.mix, seed);
  if (o.order == "global") return Shuffle(data.size(), seed);
  ClassTable table = class_table(data, o.label, int(o.loader_threads));
  return o.order == "balanced" ? balanced(std::move(table), seed)
                               : weighted(std::move(table), parse_weights(o.weights), seed);
}

Transform parse_crop(const std::string& text, uint64_t seed) {
  std::smatch found;
  require(std::regex_match(text, found, std::regex("([1-9][0-9]{0,5})(x([1-9][0-9]{0,5}))?")), Exit::usage,
          "data.crop: expected HEIGHTxWIDTH such as 64x64, or one number for both, found '{}'", text);
  return crop(std::stoll(found[1]), std::stoll(found[2].matched ? found[3] : found[1]), seed);
}

int64_t memory_for_cache(const Comm& host, size_t feeds) {
  const int64_t kib = number_after("/proc/meminfo", "MemAvailable:");
  return int64_t(kMemoryShare * double(kib) * 1024 / double(host.local_size()) / double(feeds));
}

// Small enough to be held in memory unasked: reading small pictures one by one costs more than keeping them.
bool is_small(const Dataset& data, int64_t memory) {
  return data.schema().sample_bytes() <= std::min(kUnasked, memory / 4) / std::max<int64_t>(1, data.size());
}

// Samples kept from training come first in an order that no seed changes.
int64_t held_out_of(const Dataset& data, const TrainOptions& o) {
  const auto count = int64_t(std::lround(o.held_out * double(data.size())));
  require(o.held_out == 0 || count > 0, Exit::usage, "data.held_out = {} is less than one of {} samples",
          o.held_out, data.size());
  require(count < data.size(), Exit::usage, "data.held_out = {} leaves nothing to train on of {} samples",
          o.held_out, data.size());
  return count;
}

std::vector<int64_t> places(const Dataset& data, int64_t first, int64_t end) {
  auto indices = samples_at(Shuffle(data.size(), Stream(0, "held out").key), first, end - first);
  std::sort(indices.begin(), indices.end());
  return indices;
}

// Of every field of variable length.
std::vector<Transform> clips(const Schema& schema, const TrainOptions& o, uint64_t seed) {
  std::vector<Transform> made;
  for (const Field& field : schema.fields)
    if (field.variable) made.push_back(clip(field.name, o.clip_steps, seed));
  require(!made.empty(), Exit::usage, "data.clip is for fields of variable length, the data have {}",
          describe(schema));
  return made;
}

// What a classifier of few labels reads besides, if the run is one.
std::shared_ptr<Dataset> for_classifier(std::shared_ptr<Dataset> data, const TrainOptions& o) {
  const bool few = o.labels > 0 || o.label_noise > 0;
  if (!system_entry(o.system).semi_supervised) {
    require(!few, Exit::usage,
            "data.labels and data.label_noise are for classifiers of few labels, pi-model and "
            "temporal-ensembling, "
            "this is {}",
            o.system);
    return data;
  }
  require(!few || (o.order != "balanced" && o.order != "weighted"), Exit::usage,
          "data.order = {} goes by the labels of all samples, of which data.labels hides some: leave it out",
          o.order);
  if (few && data->schema().has("label") && data->schema()["label"].shape.empty())
    data = few_labels(data, "label", o.labels, o.label_noise, uint64_t(o.seed), int(o.loader_threads));
  return numbered(data);
}

std::shared_ptr<Dataset> open_part(const Comm& host, const NamedFolder& part, const TrainOptions& o,
                                   int64_t memory) {
  std::string folder = part.folder;
  if (!o.stage.empty()) {
    const flight::Doing doing("stage", 0);  // takes as long as it takes
    folder = stage(host, folder, unescape_bytes(o.stage), o.on_bad == "skip");
  }
  std::shared_ptr<Dataset> data;
  host.together([&] { data = open_shards(folder, read_options(o)); });
  require_same(host, "data", data->fingerprint());
  require_same(host, "shards that cannot be read", fmt::format("{}", fmt::join(data->damage(), "\n")),
               Exit::data);
  if (host.rank() == 0)
    for (const std::string& line : data->damage()) log::warn("other samples stand in for a shard: {}", line);
  host.together([&] {
    if (o.cache == "memory" || (o.cache == "auto" && is_small(*data, memory)))
      data = cached(data, int(o.loader_threads), memory);
    if (!part.name.empty()) data = named(part.name, data);
  });
  return data;
}

bool exists(const std::string& path) {
  std::error_code none;  // what cannot be a path does not exist
  return std::filesystem::exists(path, none);
}

// "a=DIR,b=DIR" at each comma that a name and "=" follow, but for those in the name of a folder that exists.
std::vector<std::string> split_parts(const std::string& text) {
  static const std::regex next(",(?=[A-Za-z][A-Za-z0-9_]*=)");
  const std::vector<std::string> pieces(std::sregex_token_iterator(text.begin(), text.end(), next, -1), {});
  std::vector<std::string> parts;
  for (size_t from = 0; from < pieces.size();) {
    size_t until = pieces.size();
    const auto part = [&] {
      return fmt::format("{}", fmt::join(pieces.begin() + from, pieces.begin() + until, ","));
    };
    while (until > from + 1 && !exists(part().substr(part().find('=') + 1))) --until;
    parts.push_back(part());
    from = until;
  }
  return parts;
}

std::vector<NamedFolder> split_data(const std::string& text) {
  static const std::regex name("^[A-Za-z][A-Za-z0-9_]*=");
  if (exists(text) || !std::regex_search(text, name)) return {{.folder = text}};
  std::vector<NamedFolder> parts;
  std::set<std::string> names;
  for (const std::string& part : split_parts(text)) {
    const size_t equals = part.find('=');
    parts.push_back({.name = part.substr(0, equals), .folder = part.substr(equals + 1)});
    require(names.insert(parts.back().name).second, Exit::usage, "--data: two data sets are called {}",
            parts.back().name);
    require(!parts.back().folder.empty(), Exit::usage, "--data: expected NAME=DIR, found '{}'", part);
  }
  return parts;
}

}  // namespace

std::vector<NamedFolder> parse_data(const std::string& text) {
  return split_data(unescape_bytes(text));
}

std::string data_text(const std::vector<std::string>& flags) {
  const auto absolute = [](const std::string& folder) {
    return escape_bytes(std::filesystem::absolute(folder).lexically_normal().string());
  };
  std::string text;
  for (const std::string& flag : flags) {
    const bool plain = split_data(flag).front().name.empty();
    require(!plain || flags.size() == 1, Exit::usage,
            "--data: several data sets need names: --data a=DIR --data b=DIR; found '{}'", flag);
    if (plain) return absolute(flag);
    for (const NamedFolder& part : split_data(flag))
      text += (text.empty() ? "" : ",") + part.name + "=" + absolute(part.folder);
  }
  parse_data(text);  // refuses names that occur twice
  return text;
}

std::vector<int64_t> parse_shape(const std::string& text, const std::string& flag) {
  require(std::regex_match(text, std::regex("[1-9][0-9]{0,8}(x[1-9][0-9]{0,8})*")), Exit::usage,
          "{} is a shape such as 3x64x64, channels x height x width; found '{}'", flag, text);
  std::vector<int64_t> shape;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, 'x');) shape.push_back(std::stoll(part));
  return shape;
}

bool has_data(const std::string& text) {
  const auto parts = parse_data(text);
  return std::all_of(parts.begin(), parts.end(), [](const NamedFolder& p) { return has_index(p.folder); });
}

ReadOptions read_options(const TrainOptions& o) {
  return {.verify = o.verify, .skip_bad = o.on_bad == "skip"};
}

std::shared_ptr<Dataset> open_data(const std::string& text, const ReadOptions& options) {
  std::vector<Feed> feeds;
  for (const NamedFolder& part : parse_data(text)) {
    auto data = open_shards(part.folder, options);
    feeds.push_back({.data = part.name.empty() ? data : named(part.name, data), .order = {}});
  }
  return side_by_side(feeds);
}

std::shared_ptr<Dataset> shaped(std::shared_ptr<Dataset> data, const TrainOptions& o) {
  if (o.stack > 1) data = stacked(data, o.stack);
  require(o.frames > 0 || o.stride == 1, Exit::usage, "data.stride is for data.frames, which is 0");
  require(o.frames <= data->size(), Exit::usage, "data.frames = {} of {} samples", o.frames, data->size());
  return o.frames > 0 ? windows(data, o.frames, o.stride) : data;
}

std::shared_ptr<Dataset> validation_beside(const std::string& folder, const Schema& schema) {
  std::filesystem::path train = std::filesystem::path(folder).lexically_normal();
  if (!train.has_filename()) train = train.parent_path();
  const std::string beside = (train.parent_path() / "validation").string();
  if (train.filename() != "train" || !has_index(beside)) return nullptr;
  auto data = open_shards(beside);
  if (data->schema() == schema) return data;
  log::warn("'{}' is not used, for it is not like the data: it has {}, the data have {}", beside,
            describe(data->schema()), describe(schema));
  return nullptr;
}

int64_t known_labels(const Dataset& data) {
  const auto known = data.provenance().find("known_labels");
  return known == data.provenance().end() ? data.size() : known->get<int64_t>();
}

std::shared_ptr<Dataset> held_out(std::shared_ptr<Dataset> data, const TrainOptions& o) {
  const int64_t kept = held_out_of(*data, o);
  return kept > 0 ? subset(data, places(*data, 0, kept)) : nullptr;
}

std::shared_ptr<Dataset> not_held_out(std::shared_ptr<Dataset> data, const TrainOptions& o) {
  const int64_t kept = held_out_of(*data, o);
  return kept > 0 ? subset(data, places(*data, kept, data->size())) : data;
}

std::shared_ptr<Dataset> trained_on(std::shared_ptr<Dataset> data, const TrainOptions& o) {
  require(
      o.held_out == 0 || o.stride >= o.frames, Exit::usage,
      "data.held_out with overlapping frames would train on what is held out: set data.stride to {} or more",
      o.frames);
  data = not_held_out(std::move(data), o);
  if (o.subset == 0) return data;
  require(o.subset <= data->size(), Exit::usage, "data.subset = {} of {} samples{}", o.subset, data->size(),
          o.held_out > 0 ? " that data.held_out leaves" : "");
  const Shuffle order(data->size(), Stream(uint64_t(o.seed), "subset").key);
  return subset(data, samples_at(order, 0, o.subset));
}

Feed feed(std::shared_ptr<Dataset> data, const TrainOptions& o, const std::string& name) {
  const auto seed = name.empty() ? uint64_t(o.seed) : Stream(uint64_t(o.seed), "feed " + name).key;
  require(name.empty() || !system_entry(o.system).semi_supervised, Exit::usage,
          "{} takes one data set: pass --data DIR", o.system);
  data = trained_on(shaped(std::move(data), o), o);
  Feed made{.data = for_classifier(std::move(data), o), .order = {}};
  made.order = order_of(*made.data, o, seed);
  if (o.clip_steps > 0) made.transforms = clips(made.data->schema(), o, seed);
  if (!o.crop.empty()) made.transforms.push_back(parse_crop(o.crop, seed));
  if (o.mirror) made.transforms.push_back(mirror(seed));
  static_cast<void>(made.schema());  // throws what does not fit
  return made;
}

std::vector<Feed> open_feeds(const Comm& host, const TrainOptions& options) {
  std::vector<NamedFolder> parts;
  host.together([&] { parts = parse_data(options.data); });
  const int64_t memory = memory_for_cache(host, parts.size());
  std::vector<Feed> feeds;
  for (const NamedFolder& part : parts) {
    const std::shared_ptr<Dataset> data = open_part(host, part, options, memory);
    host.together([&] {
      TrainOptions own = options;
      if (!part.name.empty()) own.label = part.name + "_" + options.label;
      feeds.push_back(feed(data, own, part.name));
    });
  }
  host.together([&] { schema_of(feeds); });
  return feeds;
}

}  // namespace saddle
