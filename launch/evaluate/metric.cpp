#include "launch/evaluate/metric.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>

#include "data/view/kind.h"
#include "dist/differentiable.h"
#include "dist/error.h"
#include "dist/log.h"
#include "launch/run/open_data.h"
#include "models/gan.h"

namespace saddle {
namespace {

using nlohmann::json;

// Half of the real images at most, so that as many others are left to compare with.
int64_t compared(const Dataset& data, int64_t samples) {
  const int64_t n = std::min(samples, data.size() / 2);
  require(n >= 2, Exit::data, "a distance to real images needs four of them or more, these data have {}",
          data.size());
  return n;
}

// This rank's share of the real images at these places.
torch::Tensor real_features(const MetricContext& c, Range places) {
  const Field& image = main_field(c.data->schema());
  const int64_t most = samples_at_ease(image.elements() * 4);
  std::vector<torch::Tensor> pieces;
  Range mine = share(places.count, c.comm.rank(), c.comm.size());
  mine.first += places.first;
  for (int64_t at = 0; at < mine.count || pieces.empty(); at += most) {
    const Range some{mine.first + at, std::min(most, mine.count - at)};
    pieces.push_back(
        c.features->see(real_samples(*c.data, image.name, c.seed, some, torch::kFloat)).features);
  }
  return torch::cat(pieces);
}

std::shared_ptr<Classifier> trained(const MetricContext& c) {
  auto made = std::make_shared<Classifier>(c.data, c.held_out, c.seed, c.comm, c.cache);
  if (made->accuracy() <= made->majority_share() && c.comm.rank() == 0)
    log::warn(
        "the classifier is right on {:.1f} % of the images it has not seen; naming their commonest class "
        "each time would be on {:.1f} %. What it says of samples means little: are there too few images, or "
        "wrong labels? `saddle check` shows them",
        100 * made->accuracy(), 100 * made->majority_share());
  return made;
}

}  // namespace

const torch::Tensor& RealFeatures::of_all_ranks(const Comm& comm) {
  if (!gathered.defined()) gathered = rows_of_all_ranks(some, comm, "real features").cpu();
  return gathered;
}

MetricContext metric_context(const Comm& comm, System& system, const Run& run) {
  const TrainOptions& options = run.options;
  MetricContext made{.comm = comm,
                     .data = nullptr,
                     .system = &system,
                     .batch = options.batch / options.accumulate,
                     .stack = options.stack,
                     .cropped = !options.crop.empty(),
                     .cache = cache_folder()};
  for (const auto& option : run.table.options())
    if (option.key == "pac") made.pac = std::stoll(text_of(option));
  comm.together([&] {
    made.data = open_data(options.data, read_options(options));
    if (options.stack > 1) return;
    made.data = shaped(made.data, options);
    made.held_out = options.held_out > 0 ? held_out(made.data, options)
                                         : validation_beside(options.data, made.data->schema());
    if (options.held_out > 0) made.held_out_name = "data.held_out";
    made.trained = trained_on(made.data, options);
    made.data = not_held_out(made.data, options);
  });
  return made;
}

void require_comparable(const Metric& metric, const MetricContext& context) {
  require(!metric.conditional || context.system->classes() > 0, Exit::usage,
          "metric {} compares systems that are asked for a class, such as cgan, and this one is not: choose "
          "another",
          metric.name);
}

double Metric::value(const json& result) const {
  const auto found = result.find(key);
  return found != result.end() && found->is_number() ? found->get<double>()
                                                     : std::numeric_limits<double>::quiet_NaN();
}

bool Metric::better(double a, double b) const {
  if (std::isnan(a) || std::isnan(b)) return !std::isnan(a) && std::isnan(b);
  return higher_is_better ? a > b : a < b;
}

const std::vector<Metric>& metrics() {
  static const std::vector<Metric> table = [] {
    std::vector<Metric> all = {mode_metric(),    error_metric(),  stacked_metric(), agreement_metric(),
                               frechet_metric(), critic_metric(), gap_metric()};
    for (Metric& metric : feature_set_metrics()) all.push_back(std::move(metric));
    return all;
  }();
  return table;
}

std::vector<std::string> metric_names() {
  std::vector<std::string> names;
  for (const Metric& metric : metrics()) names.push_back(metric.name);
  return names;
}

const Metric& find_metric(const std::string& name) {
  const std::vector<Metric>& all = metrics();
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const Metric& metric) { return metric.name == name; });
  if (found != all.end()) return *found;
  const std::vector<std::string> names = metric_names();
  fail(Exit::usage, "no metric '{}'{}; there are {}", name, did_you_mean(name, names),
       fmt::join(names, ", "));
}

std::vector<std::string> parse_metrics(const std::string& text) {
  std::vector<std::string> names;
  std::istringstream in(text);
  for (std::string name; std::getline(in, name, ',');) {
    name.erase(0, name.find_first_not_of(' '));
    name.erase(name.find_last_not_of(' ') + 1);
    if (!name.empty()) names.push_back(name == "all" ? name : find_metric(name).name);
  }
  return names;
}

std::vector<Metric> choose_metrics(const std::vector<std::string>& names, const MetricContext& context) {
  std::vector<Metric> chosen;
  std::string missing;
  const bool all = std::find(names.begin(), names.end(), "all") != names.end();
  for (const Metric& metric : metrics()) {
    const bool asked = std::find(names.begin(), names.end(), metric.name) != names.end();
    if (!all && (names.empty() ? !metric.standard : !asked)) continue;
    const std::string misfit = metric.misfit(context);
    require(!asked || misfit.empty(), Exit::usage, "metric {} {}", metric.name, misfit);
    if (misfit.empty())
      chosen.push_back(metric);
    else
      missing += fmt::format("\n  {} {}", metric.name, misfit);
  }
  require(!chosen.empty(), Exit::usage,
          "no metric fits; pack pictures with a folder a class, or ask for one that needs no labels, such as "
          "critic:{}",
          missing);
  return chosen;
}

Measurement::Measurement(std::vector<Metric> metrics, MetricContext context)
    : metrics_(std::move(metrics)), context_(std::move(context)) {
  context_.comm.together([&] {
    for (const Metric& metric : metrics_)
      if (metric.misfit)
        if (const std::string misfit = metric.misfit(context_); !misfit.empty())
          fail(Exit::usage, "metric {} {}", metric.name, misfit);
  });
  if (std::any_of(metrics_.begin(), metrics_.end(), [](const Metric& m) { return m.features; })) {
    if (!context_.features) context_.features = trained(context_);
    context_.comm.together([&] {
      const int64_t n = compared(*context_.data, context_.samples);
      context_.real = std::make_shared<RealFeatures>(
          RealFeatures{n, real_features(context_, {0, n}), real_features(context_, {n, n})});
    });
  }
  if (context_.real && context_.real->count <= context_.real->some.size(1) && context_.comm.rank() == 0)
    log::warn("{} real images are few for {} features: distances to so few mean little", context_.real->count,
              context_.real->some.size(1));
  for (const Metric& metric : metrics_) make_.push_back(metric.prepare(context_));
}

void Measurement::measure(System& system, Drawing drawing, bool in_batches, json& result) const {
  std::vector<std::unique_ptr<Meter>> meters;
  bool features = false;
  for (size_t i = 0; i < metrics_.size(); ++i) {
    if (metrics_[i].in_batches != in_batches) continue;
    meters.push_back(make_[i]());
    features = features || metrics_[i].features;
  }
  if (meters.empty()) return;
  if (in_batches) drawing.count -= drawing.count % context_.batch;
  draw_pieces(system, drawing, context_.comm, in_batches ? context_.batch : 0,
              [&](const Batch& samples, Range places) {
                Piece piece{samples, places, drawing, {}};
                if (features) piece.seen = context_.features->see((*samples.begin()).second);
                for (const auto& meter : meters) meter->add(piece);
              });
  for (const auto& meter : meters) result.update(meter->result());
}

json Measurement::operator()(System& system, const Drawing& drawing) const {
  json result = json::object();
  for (const bool in_batches : {false, true}) measure(system, drawing, in_batches, result);
  return result;
}

Drawing Measurement::drawing(uint64_t seed) const {
  const MetricContext& c = context_;
  if (!c.system || !tells_classes(*c.system)) return {.count = c.samples, .seed = seed, .data = c.data.get()};
  const Dataset& data = c.held_out ? *c.held_out : *c.data;
  return {.count = std::min(c.samples, data.size()), .seed = seed, .data = &data};
}

json Measurement::about() const {
  if (!context_.real) return json::object();
  return {{"features", context_.features->name()},
          {"classifier_accuracy", context_.features->accuracy()},
          {"majority_share", context_.features->majority_share()},
          {"classifier_tested_on", context_.held_out ? context_.held_out_name : "a share of every class"}};
}

std::string no_labelled_images(const MetricContext& c) {
  const Schema& schema = c.data->schema();
  const bool labelled = kind_of(main_field(schema)) == Kind::picture && schema.has("label") &&
                        kind_of(schema["label"]) == Kind::label && schema["label"].classes > 1;
  if (c.system && tells_classes(*c.system)) return "needs a system that draws images, this is a classifier";
  if (c.cropped) return "needs whole pictures, and data.crop is set";
  if (labelled && c.stack == 1) return "";
  return fmt::format(
      "needs a system that draws images, and data of images with labels of two classes or more; the data are "
      "{}",
      describe(schema));
}

torch::Tensor sum_of_all_ranks(const torch::Tensor& mine, const Comm& comm, const std::string& name) {
  torch::Tensor sums = mine.clone().to(comm.device());
  comm.all_reduce(sums, Reduce::sum, name);
  return sums.cpu();
}

}  // namespace saddle
