#include "launch/measures.h"

#include <cmath>
#include <optional>

#include "dist/error.h"
#include "launch/classifier.h"
#include "launch/preview.h"
#include "losses/metrics/frechet.h"
#include "losses/metrics/modes.h"

namespace saddle {
namespace {

using nlohmann::json;

torch::Tensor centers_of(const json& mixture) {
  const auto rows = mixture.at("centers").get<std::vector<std::vector<double>>>();
  std::vector<torch::Tensor> centers;
  for (const auto& row : rows) centers.push_back(torch::tensor(row, torch::kDouble));
  return torch::stack(centers);
}

bool is_mixture(const Dataset& data) {
  return data.provenance().contains("mixture");
}

bool is_labelled_images(const Dataset& data) {
  return data.schema().has("image") && data.schema().has("label");
}

ModeCoverage coverage(const Batch& samples, const Dataset& data) {
  const json& mixture = data.provenance()["mixture"];
  return mode_coverage((*samples.begin()).second.to(torch::kDouble), centers_of(mixture),
                       mixture.at("sigma").get<double>());
}

json judge_modes(const Batch& samples, const Dataset& data) {
  const ModeCoverage c = coverage(samples, data);
  return {{"modes", c.modes},
          {"of", c.total},
          {"solid_modes", c.solid_modes},
          {"high_quality", c.high_quality},
          {"reverse_kl", c.reverse_kl}};
}

torch::Tensor real_features(const Classifier& judge, const Dataset& data, int64_t first, int64_t count) {
  return judge.features(real_samples(data, "image", first, count, torch::kFloat));
}

json judge_images(const Batch& samples, const Dataset& data, uint64_t seed) {
  const Classifier judge(data, seed);
  const torch::Tensor images = samples["image"].to(torch::kFloat);
  const torch::Tensor predicted = judge.predict(images);
  const int64_t classes = data.schema()["label"].classes;
  json result = {{"classifier_accuracy", judge.held_out_accuracy()},
                 {"classes_drawn", torch::bincount(predicted, {}, classes).gt(0).sum().item<int64_t>()},
                 {"of", classes}};
  if (samples.has("label")) {
    const torch::Tensor labels = samples["label"], right = predicted.eq(labels);
    result["agreement"] = right.to(torch::kDouble).mean().item<double>();
    for (int64_t k = 0; k < classes; ++k)
      result["agreement_by_class"].push_back(
          right.masked_select(labels.eq(k)).to(torch::kDouble).mean().item<double>());
  }
  const int64_t n = std::min(images.size(0), data.size() / 2);
  const torch::Tensor real = real_features(judge, data, 0, n);
  result["fd_classifier"] = frechet_distance(judge.features(images).narrow(0, 0, n), real);
  result["fd_classifier_real_against_real"] = frechet_distance(real_features(judge, data, n, n), real);
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
  d.live->train(false);
  for (int64_t first = 0; first + batch <= all.size(0); first += batch) {
    const torch::Tensor y = samples.has("label") ? mine(samples["label"], first) : torch::Tensor();
    const torch::Tensor out = d(mine(all, first).to(d.dtype), y).to(torch::kDouble);
    sums += torch::stack({out.sum(), torch::full_like(out.sum(), static_cast<double>(out.numel()))});
  }
  d.live->train(true);
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
  const int64_t n = std::min(options.samples, data.size() / 2);
  std::shared_ptr<Classifier> judge;
  torch::Tensor real;
  host.together([&] {
    if (host.rank() != 0) return;
    judge = std::make_shared<Classifier>(data, options.seed);
    real = real_features(*judge, data, 0, n);
  });
  return {"fd", false, on_rank_0(host, [judge, real, n](const Batch& samples) {
            return frechet_distance(judge->features(samples["image"]).narrow(0, 0, n), real);
          })};
}

}  // namespace

json measure(const Batch& samples, const Dataset& data, uint64_t seed) {
  if (is_mixture(data)) return judge_modes(samples, data);
  if (is_labelled_images(data)) return judge_images(samples, data, seed);
  fail(Exit::usage, "no measure fits these data ({}): expected a generated mixture, or images with labels",
       describe(data.schema()));
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
