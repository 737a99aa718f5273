#include "launch/evaluate/measures.h"

#include <cmath>
#include <filesystem>
#include <optional>

#include "data/store/index.h"
#include "data/view/kind.h"
#include "dist/error.h"
#include "dist/json.h"
#include "dist/log.h"
#include "launch/evaluate/classifier.h"
#include "launch/evaluate/preview.h"
#include "losses/metrics/frechet.h"
#include "losses/metrics/modes.h"
#include "models/evaluating.h"

namespace saddle {
namespace {

using nlohmann::json;

// Of points in so many dimensions; what a data set says of itself may be damaged.
torch::Tensor centers_of(const json& mixture, int64_t dimensions) try {
  std::vector<torch::Tensor> centers;
  for (const json& row : list_at(mixture, "centers")) {
    std::vector<double> center;
    require(row.is_array() && int64_t(row.size()) == dimensions, Exit::data,
            "expected centers of {} numbers, found {}", dimensions, excerpt(row));
    for (const json& each : row) center.push_back(number(each));
    centers.push_back(torch::tensor(center, torch::kDouble));
  }
  require(!centers.empty() && number_at(mixture, "sigma") > 0, Exit::data,
          "expected centers, and a sigma above 0");
  return torch::stack(centers);
} catch (const Error& error) {
  fail(error.kind, "the mixture in the provenance of the data: {}", error.what());
}

bool is_mixture(const Dataset& data) {
  return data.provenance().contains("mixture");
}

bool is_labelled_images(const Dataset& data) {
  const Schema& schema = data.schema();
  return schema.has("image") && kind_of(schema["image"]) == Kind::picture && schema.has("label") &&
         kind_of(schema["label"]) == Kind::label;
}

ModeCoverage coverage(const Batch& samples, const Dataset& data) {
  const json& mixture = data.provenance()["mixture"];
  const torch::Tensor points = (*samples.begin()).second.to(torch::kDouble);
  const torch::Tensor centers = centers_of(mixture, points.dim() == 2 ? points.size(1) : 0);
  return mode_coverage(points, centers, number_at(mixture, "sigma"));
}

json judge_modes(const Batch& samples, const Dataset& data) {
  const ModeCoverage c = coverage(samples, data);
  return {{"modes", c.modes},
          {"of", c.total},
          {"solid_modes", c.solid_modes},
          {"high_quality", c.high_quality},
          {"reverse_kl", c.reverse_kl}};
}

// Of real images at places of the order that the seed shuffles: what was packed class by class is mixed.
torch::Tensor real_features(const Classifier& judge, const Dataset& data, uint64_t seed, Range places) {
  constexpr int64_t kPiece = 500;  // held in memory at once
  std::vector<torch::Tensor> pieces;
  for (int64_t at = 0; at < places.count; at += kPiece)
    pieces.push_back(judge.features(real_samples(
        data, "image", seed, {places.first + at, std::min(kPiece, places.count - at)}, torch::kFloat)));
  return torch::cat(pieces);
}

// Half of the real images at most, so that as many others are left to compare with.
int64_t compared(const Dataset& data, int64_t samples) {
  const int64_t n = std::min(samples, data.size() / 2);
  require(n >= 2, Exit::data, "a Frechet distance needs four real images or more, these data have {}",
          data.size());
  return n;
}

std::shared_ptr<Classifier> trained(const Dataset& data, const Dataset* held_out, uint64_t seed) {
  auto judge = std::make_shared<Classifier>(data, seed, held_out);
  if (judge->held_out_accuracy() <= judge->majority_share())
    log::warn(
        "the classifier is right on {:.1f} % of the images it has not seen; naming their commonest class "
        "each "
        "time would be on {:.1f} %. What it says of samples means little: are there too few images, or wrong "
        "labels? `saddle check` shows them",
        100 * judge->held_out_accuracy(), 100 * judge->majority_share());
  return judge;
}

json judge_images(const Batch& samples, const Dataset& data, const Dataset* held_out, uint64_t seed) {
  const auto trained_here = trained(data, held_out, seed);
  const Classifier& judge = *trained_here;
  const torch::Tensor images = samples["image"].to(torch::kFloat);
  const torch::Tensor predicted = judge.predict(images);
  const int64_t classes = data.schema()["label"].classes;
  json result = {{"classifier_accuracy", judge.held_out_accuracy()},
                 {"classifier_tested_on", held_out ? "validation" : "a share of every class"},
                 {"majority_share", judge.majority_share()},
                 {"classes_drawn", torch::bincount(predicted, {}, classes).gt(0).sum().item<int64_t>()},
                 {"of", classes}};
  if (samples.has("label")) {
    const torch::Tensor labels = samples["label"], right = predicted.eq(labels);
    result["agreement"] = right.to(torch::kDouble).mean().item<double>();
    for (int64_t k = 0; k < classes; ++k)
      result["agreement_by_class"].push_back(
          right.masked_select(labels.eq(k)).to(torch::kDouble).mean().item<double>());
  }
  const int64_t n = compared(data, images.size(0));
  const torch::Tensor real = real_features(judge, data, seed, {0, n});
  result["fd_samples"] = n;
  result["fd_classifier"] = frechet_distance(judge.features(images).narrow(0, 0, n), real);
  result["fd_classifier_real_against_real"] =
      frechet_distance(real_features(judge, data, seed, {n, n}), real);
  return result;
}

// In batches as in training, for a discriminator may compare the samples of a batch, over all ranks.
double mean_output(const Net& d, const Batch& samples, const Comm& comm, int64_t batch) {
  at::NoGradGuard no_grad;
  const torch::Tensor& all = (*samples.begin()).second;
  const auto mine = [&](const torch::Tensor& rows, int64_t first) {
    const Range part = share(batch, comm.rank(), comm.size());
    return rows.narrow(0, first + part.first, part.count).to(comm.device());
  };
  torch::Tensor sums = torch::zeros({2}, torch::dtype(torch::kDouble).device(comm.device()));
  const Evaluating evaluating({d.live});
  for (int64_t first = 0; first + batch <= all.size(0); first += batch) {
    const torch::Tensor y = samples.has("label") ? mine(samples["label"], first) : torch::Tensor();
    const torch::Tensor out = d({mine(all, first).to(d.dtype), y}).x.to(torch::kDouble);
    sums += torch::stack({out.sum(), torch::full_like(out.sum(), static_cast<double>(out.numel()))});
  }
  comm.all_reduce(sums, Reduce::sum, "critic");
  return (sums[0] / sums[1]).item<double>();
}

// `value` on rank 0 alone, the others wait.
std::function<double(const Batch&)> on_rank_0(const Comm& host, std::function<double(const Batch&)> value) {
  return [host, value](const Batch& samples) {
    double result = 0;
    host.together([&] {
      if (host.rank() == 0) result = value(samples);
    });
    return result;
  };
}

Metric critic(System& system, int64_t batch) {
  const std::optional<Net> d = system.find("D");
  require(d.has_value(), Exit::usage,
          "tournament.metric=critic needs a system with a net D: choose modes or fd");
  return {"critic", true, [d = *d, comm = system.context().comm, batch](const Batch& samples) {
            return mean_output(d, samples, comm, batch);
          }};
}

Metric modes(const Dataset& data, const Comm& host) {
  require(is_mixture(data), Exit::usage,
          "tournament.metric=modes needs a generated mixture, such as ring8, the data are {}: choose critic",
          describe(data.schema()));
  return {"modes", true, on_rank_0(host, [&data](const Batch& samples) {
            const ModeCoverage c = coverage(samples, data);
            return c.high_quality * std::exp(-c.reverse_kl);
          })};
}

Metric fd(const Dataset& data, const Comm& host, const MetricOptions& options) {
  require(is_labelled_images(data), Exit::usage,
          "tournament.metric=fd needs images with labels, the data are {}: choose critic",
          describe(data.schema()));
  int64_t n = 0;
  std::shared_ptr<Classifier> judge;
  torch::Tensor real;
  host.together([&] {
    if (host.rank() != 0) return;
    n = compared(data, options.samples);
    judge = trained(data, options.held_out, options.seed);
    real = real_features(*judge, data, options.seed, {0, n});
  });
  return {"fd", false, on_rank_0(host, [judge, real, n](const Batch& samples) {
            return frechet_distance(judge->features(samples["image"]).narrow(0, 0, n), real);
          })};
}

}  // namespace

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

json measure(const Batch& samples, const Dataset& data, const Dataset* held_out, uint64_t seed) {
  if (is_mixture(data)) return judge_modes(samples, data);
  if (is_labelled_images(data)) return judge_images(samples, data, held_out, seed);
  fail(Exit::usage, "no measure fits these data ({}): expected a generated mixture, or images with labels",
       describe(data.schema()));
}

json measure_stacked(const torch::Tensor& images, const Dataset& data, const Dataset* held_out,
                     uint64_t seed) {
  require(is_labelled_images(data), Exit::usage,
          "combinations of classes are counted of images with labels, the "
          "data are {}",
          describe(data.schema()));
  const auto judge = trained(data, held_out, seed);
  const int64_t classes = data.schema()["label"].classes;
  torch::Tensor number = torch::zeros({images.size(0)}, torch::kLong);
  int64_t all = 1;
  for (const torch::Tensor& channel : images.to(torch::kFloat).split(1, 1)) {
    number = number * classes + judge->predict(channel);
    all *= classes;
  }
  const torch::Tensor counts = torch::bincount(number, {}, all).to(torch::kDouble);
  const torch::Tensor share = counts.masked_select(counts.gt(0)) / counts.sum();
  return {{"classifier_accuracy", judge->held_out_accuracy()},
          {"modes", share.numel()},
          {"of", all},
          {"kl", (share * (share * static_cast<double>(all)).log()).sum().item<double>()}};
}

json measure_classes(const torch::Tensor& told, const Dataset& data, const std::string& target,
                     uint64_t seed) {
  const torch::Tensor known = real_samples(data, target, seed, {0, told.size(0)}, torch::kFloat);
  const torch::Tensor wrong = told.ne(known).to(torch::kDouble);
  json result = {{"error", wrong.mean().item<double>()}};
  for (int64_t k = 0; k < data.schema()[target].classes; ++k)
    result["error_by_class"].push_back(wrong.masked_select(known.eq(k)).mean().item<double>());
  return result;
}

bool Metric::better(double a, double b) const {
  if (std::isnan(a) || std::isnan(b)) return !std::isnan(a) && std::isnan(b);
  return higher_is_better ? a > b : a < b;
}

Metric make_metric(const std::string& name, System& system, const Dataset& data, const Comm& host,
                   const MetricOptions& options) {
  if (name == "critic") return critic(system, options.batch);
  if (name == "modes") return modes(data, host);
  if (name == "fd") return fd(data, host, options);
  fail(Exit::bug, "no metric '{}'", name);
}

}  // namespace saddle
