// Modes of a generated mixture that samples cover, by the rules of losses/metrics/modes.h. "mode_quality" is the
// share of high quality times the share of modes effectively covered, exp(-reverse KL), in [0, 1].
#include "losses/metrics/modes.h"

#include <cmath>

#include "dist/error.h"
#include "dist/json.h"
#include "launch/evaluate/metric.h"
#include "models/gan.h"

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

class Modes final : public Meter {
 public:
  Modes(torch::Tensor centers, double sigma, const Comm& comm)
      : centers_(std::move(centers)), sigma_(sigma), comm_(comm) {}
  void add(const Piece& piece) override {
    const torch::Tensor& points = (*piece.samples.begin()).second;
    counts_.narrow(0, 1, centers_.size(0)) += mode_counts(points, centers_, sigma_);
    counts_[0] += points.size(0);
  }
  json result() override {
    const torch::Tensor all = sum_of_all_ranks(counts_, comm_, "modes");
    const ModeCoverage c = mode_coverage(all.narrow(0, 1, centers_.size(0)).contiguous(),
                                         all[0].item<int64_t>(), centers_.size(1));
    return {{"modes", c.modes},
            {"of", c.total},
            {"solid_modes", c.solid_modes},
            {"high_quality", c.high_quality},
            {"reverse_kl", c.reverse_kl},
            {"mode_quality", c.high_quality * std::exp(-c.reverse_kl)}};
  }

 private:
  torch::Tensor centers_;
  double sigma_;
  Comm comm_;
  torch::Tensor counts_ = torch::zeros({centers_.size(0) + 1}, torch::kLong);  // of samples, of each mode's
};

std::string misfit(const MetricContext& c) {
  if (c.data->provenance().contains("mixture")) return "";
  return fmt::format("needs a generated mixture, such as ring8; the data are {}", describe(c.data->schema()));
}

}  // namespace

Metric mode_metric() {
  return {.name = "modes",
          .about = "generated mixtures: modes covered, share of samples near one, reverse KL",
          .key = "mode_quality",
          .higher_is_better = true,
          .misfit = misfit,
          .prepare = [](const MetricContext& c) {
            torch::Tensor centers;
            double sigma = 0;
            c.comm.together([&] {
              const json& mixture = c.data->provenance()["mixture"];
              const std::vector<int64_t>& shape = main_field(c.data->schema()).shape;
              centers = centers_of(mixture, shape.size() == 1 ? shape[0] : 0);
              sigma = number_at(mixture, "sigma");
            });
            return [=, comm = c.comm] { return std::make_unique<Modes>(centers, sigma, comm); };
          }};
}

}  // namespace saddle
