// What a classifier of the data says of generated images: the classes drawn, and of conditional ones whether it
// names the class that was asked for.
#include "launch/evaluate/metric.h"

namespace saddle {
namespace {

using nlohmann::json;

class Agreement final : public Meter {
 public:
  Agreement(int64_t classes, const Comm& comm)
      : comm_(comm), counts_(torch::zeros({3, classes}, torch::kLong)) {}
  void add(const Piece& piece) override {
    const int64_t classes = counts_.size(1);
    const torch::Tensor told = piece.seen.scores.argmax(1).cpu();
    counts_[0] += torch::bincount(told, {}, classes);
    if (!piece.samples.has("label")) return;
    asked_ = true;
    const torch::Tensor label = piece.samples["label"].cpu();
    counts_[1] += torch::bincount(label, {}, classes);
    counts_[2] += torch::bincount(label.masked_select(told.eq(label)), {}, classes);
  }
  json result() override {
    const torch::Tensor all = sum_of_all_ranks(counts_, comm_, "agreement").to(torch::kDouble);
    json result = {{"classes_drawn", all[0].gt(0).sum().item<int64_t>()}, {"of", all.size(1)}};
    if (!asked_) return result;
    result["agreement"] = (all[2].sum() / all[1].sum()).item<double>();
    for (int64_t k = 0; k < all.size(1); ++k)
      result["agreement_by_class"].push_back((all[2][k] / all[1][k]).item<double>());
    return result;
  }

 private:
  Comm comm_;
  torch::Tensor counts_;  // by class: told, asked for, told of those asked for
  bool asked_ = false;
};

}  // namespace

Metric agreement_metric() {
  return {.name = "agreement",
          .about = "labelled images: classes drawn, and agreement with the class asked for",
          .key = "agreement",
          .higher_is_better = true,
          .features = true,
          .conditional = true,
          .misfit = no_labelled_images,
          .prepare = [](const MetricContext& c) {
            return [classes = c.data->schema()["label"].classes, comm = c.comm] {
              return std::make_unique<Agreement>(classes, comm);
            };
          }};
}

}  // namespace saddle
