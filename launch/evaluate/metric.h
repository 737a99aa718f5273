// The table of metrics: what `saddle evaluate` measures, by which the best checkpoint is kept while training, and
// by which tournaments choose:
//   Measurement fd({find_metric("fd")}, {.comm = comm, .data = data, .system = &system, .samples = 2000});
//   nlohmann::json found = fd(system, {.count = 2000, .seed = 1});   // collective
//   double distance = found.at("fd");                                // the same on all ranks
// Samples are drawn piece by piece, each rank its share; meters keep sums, so memory does not grow with them.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "launch/evaluate/classifier.h"
#include "launch/evaluate/draw.h"

namespace saddle {

// This rank's share of a piece of the samples.
struct Piece {
  const Batch& samples;    // on the device
  Range places;            // in the order of all samples
  const Drawing& drawing;  // of which they are
  Seen seen;               // by the feature net, of metrics that ask for it
};

// What a metric keeps of the samples of one drawing.
class Meter {
 public:
  virtual ~Meter() = default;
  virtual void add(const Piece& piece) = 0;  // on all ranks equally often; shares may be empty
  virtual nlohmann::json result() = 0;       // collective; the same on all ranks
};

// Real images in the order that the seed shuffles, as the feature net sees them; this rank's shares.
struct RealFeatures {
  // Collective. `some` of all ranks, on the host; gathered once.
  const torch::Tensor& of_all_ranks(const Comm& comm);
  int64_t count = 0;           // on all ranks
  torch::Tensor some, others;  // [share of count, D] each: the first `count` images, and as many more
  torch::Tensor gathered = {};
};

// What metrics measure against.
struct MetricContext {
  Comm comm = World::alone();                   // of the system and of the metrics
  std::shared_ptr<Dataset> data;                // what the system should be like
  std::shared_ptr<Dataset> trained = nullptr;   // what it was trained on of those: data.subset
  std::shared_ptr<Dataset> held_out = nullptr;  // data that it has not seen, if there are any
  std::string held_out_name = "validation";
  System* system = nullptr;
  int64_t samples = 1024;  // that will be drawn
  int64_t batch = 64;      // samples that pass a discriminator at once, as in training
  int64_t stack = 1;       // pictures of `data` that are one of the samples (data.stack)
  int64_t pac = 1;         // samples that D sees as one
  bool cropped = false;    // samples are parts of pictures (data.crop)
  uint64_t seed = 1;       // of the classifier and of the order of real images
  std::string cache = "";  // cache_folder()
  std::shared_ptr<Classifier> features = nullptr;  // these two set where a metric asks for them
  std::shared_ptr<RealFeatures> real = nullptr;
};

// Collective. Of a run: its data as they are opened anew, held-out ones kept apart; data.held_out, or the
// folder `validation` beside the data.
MetricContext metric_context(const Comm& comm, System& system, const Run& run);

struct Metric {
  std::string name = {};   // "fd"
  std::string about = {};  // one line
  std::string key = {};    // of the result's number by which samples are compared
  bool higher_is_better = false;
  bool standard = true;      // measured where it fits, without being asked for
  bool features = false;     // Piece::seen, MetricContext::features and ::real
  bool conditional = false;  // compares systems that are asked for classes
  bool in_batches = false;   // pieces are batches of MetricContext::batch samples on all ranks
  std::function<std::string(const MetricContext&)> misfit = {};  // what is missing for it here; "": nothing
  // Collective. What makes a fresh meter of each drawing's samples.
  std::function<std::function<std::unique_ptr<Meter>()>(const MetricContext&)> prepare = {};
  double value(const nlohmann::json& result) const;  // by `key`; NaN if it is not a number
  bool better(double a, double b) const;             // whether `a` is; NaN is worse than any number
  // In log.jsonl and for checkpoint.best: "metrics/fd".
  std::string reported() const { return "metrics/" + name; }
};

// Exit::usage if this system's samples cannot be compared by the metric.
void require_comparable(const Metric& metric, const MetricContext& context);

const std::vector<Metric>& metrics();
std::vector<std::string> metric_names();
const Metric& find_metric(const std::string& name);  // Exit::usage names the nearest
// Those of these names, "all" for all that fit; none: the standard ones that fit. Exit::usage says what is missing for one that was
// asked for, or, where none fits, for each.
std::vector<Metric> choose_metrics(const std::vector<std::string>& names, const MetricContext& context);
// "fd,modes".
std::vector<std::string> parse_metrics(const std::string& text);

class Measurement {
 public:
  // Collective. Trains the classifier where a metric needs one; Exit::usage if one does not fit.
  Measurement(std::vector<Metric> metrics, MetricContext context);
  // Collective. All metrics' results in one object; those in batches are of whole ones.
  nlohmann::json operator()(System& system, const Drawing& drawing) const;
  // Of the context's samples: of a classifier those of held-out data, if there are any.
  Drawing drawing(uint64_t seed) const;
  const std::vector<Metric>& metrics() const { return metrics_; }
  const MetricContext& context() const { return context_; }
  nlohmann::json about() const;  // of the feature net and the real images, if there are any

 private:
  void measure(System& system, Drawing drawing, bool in_batches, nlohmann::json& result) const;
  std::vector<Metric> metrics_;
  MetricContext context_;
  std::vector<std::function<std::unique_ptr<Meter>()>> make_;
};

// The metrics, a file each in metrics/.
Metric mode_metric();
Metric agreement_metric();
Metric frechet_metric();
Metric error_metric();
Metric stacked_metric();
Metric critic_metric();
Metric gap_metric();
std::vector<Metric> feature_set_metrics();

// Why data or system are none of labelled images; "": they are.
std::string no_labelled_images(const MetricContext& context);

// Sums over all ranks, on the host.
torch::Tensor sum_of_all_ranks(const torch::Tensor& mine, const Comm& comm, const std::string& name);

}  // namespace saddle
