// Metrics that need all features at once (losses/metrics): rank 0 gathers them in the order of the samples,
// N (D + classes) floats, and computes; the others wait.
#include "dist/differentiable.h"
#include "launch/evaluate/metric.h"
#include "losses/metrics/frechet.h"
#include "losses/metrics/inception.h"
#include "losses/metrics/kernel.h"
#include "losses/metrics/mind.h"
#include "losses/metrics/neighbours.h"

namespace saddle {
namespace {

using nlohmann::json;

struct Sets {
  torch::Tensor real, fake;  // [M, D], [N, D]
  torch::Tensor scores;      // [N, classes]
};
using Compute = std::function<json(const Sets& sets, const MetricContext& context)>;

class FeatureSets final : public Meter {
 public:
  FeatureSets(const MetricContext& context, torch::Tensor real, Compute compute)
      : context_(context), real_(std::move(real)), compute_(std::move(compute)) {}
  void add(const Piece& piece) override {
    features_.push_back(piece.seen.features.cpu());
    scores_.push_back(piece.seen.scores.cpu());
    places_.push_back(
        torch::arange(piece.places.first, piece.places.first + piece.places.count, torch::kLong));
  }
  json result() override {
    const torch::Tensor order = all(places_).argsort();
    const Sets sets{real_, all(features_).index_select(0, order), all(scores_).index_select(0, order)};
    json result;
    context_.comm.together([&] {
      if (context_.comm.rank() == 0) result = compute_(sets, context_);
    });
    return json::parse(context_.comm.broadcast_text(result.dump()));
  }

 private:
  torch::Tensor all(const std::vector<torch::Tensor>& mine) const {
    const Comm& comm = context_.comm;
    return rows_of_all_ranks(torch::cat(mine).to(comm.device()), comm, "features").cpu();
  }
  const MetricContext context_;
  torch::Tensor real_;
  Compute compute_;
  std::vector<torch::Tensor> features_, scores_, places_;
};

constexpr int64_t kNeighbours = 5;

// Of fewer a number would mean nothing: a ball that reaches to the last of few samples holds anything.
std::string misfit(const MetricContext& c) {
  constexpr int64_t kLeast = 10 * kNeighbours;
  if (const std::string missing = no_labelled_images(c); !missing.empty()) return missing;
  if (c.data->size() >= 2 * kLeast && c.samples >= kLeast) return "";
  return fmt::format("needs {} samples and {} images, found {} and {}", kLeast, 2 * kLeast, c.samples,
                     c.data->size());
}

Metric of_sets(const std::string& name, const std::string& about, const std::string& key, bool higher,
               Compute compute) {
  return {.name = name,
          .about = about,
          .key = key,
          .higher_is_better = higher,
          .standard = false,
          .features = true,
          .misfit = misfit,
          .prepare = [compute = std::move(compute)](const MetricContext& c) {
            const torch::Tensor real = c.real->of_all_ranks(c.comm);
            return [=] { return std::make_unique<FeatureSets>(c, real, compute); };
          }};
}

json kernel_distance(const Sets& sets, const MetricContext& c) {
  const int64_t size = std::min<int64_t>({1000, sets.real.size(0) / 2, sets.fake.size(0) / 2});
  const MeanStd subsets = kid_subsets(sets.real, sets.fake, {.subsets = 100, .size = size, .seed = c.seed});
  return {{"kid", kid(sets.real, sets.fake)},
          {"kid_subsets", subsets.mean},
          {"kid_subsets_deviation", subsets.std},
          {"kid_subset_size", size}};
}

json neighbours(const Sets& sets, const MetricContext&) {
  const Prdc found = prdc(sets.real, sets.fake, kNeighbours);
  return {{"precision", found.precision},
          {"recall", found.recall},
          {"density", found.density},
          {"coverage", found.coverage}};
}

json score(const Sets& sets, const MetricContext&) {
  const MeanStd found = inception_score(sets.scores);
  return {{"inception_score", found.mean}, {"inception_score_deviation", found.std}};
}

json infinity(const Sets& sets, const MetricContext& c) {
  Gaussian real(sets.real.size(1));
  real.add(sets.real);
  return {{"fd_infinity", frechet_infinity(real, sets.fake, c.seed)}};
}

}  // namespace

std::vector<Metric> feature_set_metrics() {
  return {of_sets("kid", "KID's kernel distance of all features, and of 100 subsets of up to 1,000", "kid",
                  false, kernel_distance),
          of_sets("prdc", "precision, recall, density, coverage by 5 nearest neighbours", "coverage", true,
                  neighbours),
          of_sets("is", "Inception Score's arithmetic on the classifier's classes, 10 splits",
                  "inception_score", true, score),
          of_sets("mind", "Monge Inception distance of features, 1,000 directions", "mind", false,
                  [](const Sets& sets, const MetricContext&) -> json {
                    return {{"mind", mind(sets.fake, sets.real)}};
                  }),
          of_sets("fd_infinity", "Frechet distance extrapolated to infinitely many samples", "fd_infinity",
                  false, infinity)};
}

}  // namespace saddle
