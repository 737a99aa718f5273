// Of a classifier: the share of samples that it tells another class than the data say, in all and by class.
#include "launch/evaluate/metric.h"

namespace saddle {
namespace {

using nlohmann::json;

class ClassError final : public Meter {
 public:
  ClassError(std::string target, int64_t classes, const Comm& comm)
      : target_(std::move(target)), comm_(comm), counts_(torch::zeros({2, classes}, torch::kLong)) {}
  void add(const Piece& piece) override {
    const int64_t classes = counts_.size(1);
    const torch::Tensor told = piece.samples[target_].cpu();
    const torch::Tensor known =
        real_samples(*piece.drawing.data, target_, piece.drawing, piece.places, torch::kFloat);
    counts_[0] += torch::bincount(known, {}, classes);
    counts_[1] += torch::bincount(known.masked_select(told.ne(known)), {}, classes);
  }
  json result() override {
    const torch::Tensor all = sum_of_all_ranks(counts_, comm_, "error").to(torch::kDouble);
    json result = {{"error", (all[1].sum() / all[0].sum()).item<double>()}};
    for (int64_t k = 0; k < all.size(1); ++k)
      result["error_by_class"].push_back((all[1][k] / all[0][k]).item<double>());
    return result;
  }

 private:
  std::string target_;
  Comm comm_;
  torch::Tensor counts_;  // by class: samples, and those told another class
};

std::string misfit(const MetricContext& c) {
  return c.system && tells_classes(*c.system) ? "" : "needs a classifier";
}

}  // namespace

Metric error_metric() {
  return {.name = "error",
          .about = "classifiers: share of samples told another class than the data say",
          .key = "error",
          .misfit = misfit,
          .prepare = [](const MetricContext& c) {
            return [target = c.system->target, classes = c.data->schema()[c.system->target].classes,
                    comm = c.comm] { return std::make_unique<ClassError>(target, classes, comm); };
          }};
}

}  // namespace saddle
