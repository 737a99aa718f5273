// Of pictures whose channels are grey pictures of the data (data.stack), by a classifier trained on those: how many
// of the combinations of classes occur, and the KL divergence of how often they do from all alike (Metz et al.
// 2017, section 3.3.1; PacGAN, section 4.2).
#include "launch/evaluate/metric.h"

namespace saddle {
namespace {

using nlohmann::json;

class Stacked final : public Meter {
 public:
  Stacked(std::shared_ptr<Classifier> classifier, int64_t classes, int64_t combinations, const Comm& comm)
      : classifier_(std::move(classifier)),
        classes_(classes),
        comm_(comm),
        counts_(torch::zeros({combinations}, torch::kLong)) {}
  void add(const Piece& piece) override {
    const torch::Tensor& images = (*piece.samples.begin()).second;
    torch::Tensor number = torch::zeros({images.size(0)}, torch::kLong);
    for (const torch::Tensor& channel : images.split(1, 1))
      number = number * classes_ + classifier_->predict(channel).cpu();
    counts_ += torch::bincount(number, {}, counts_.numel());
  }
  json result() override {
    const torch::Tensor counts = sum_of_all_ranks(counts_, comm_, "stacked").to(torch::kDouble);
    const torch::Tensor share = counts.masked_select(counts.gt(0)) / counts.sum();
    return {{"classifier_accuracy", classifier_->accuracy()},
            {"modes", share.numel()},
            {"of", counts.numel()},
            {"kl", (share * (share * static_cast<double>(counts.numel())).log()).sum().item<double>()}};
  }

 private:
  std::shared_ptr<Classifier> classifier_;
  int64_t classes_;
  Comm comm_;
  torch::Tensor counts_;  // by combination
};

std::string misfit(const MetricContext& c) {
  return c.stack > 1 && c.data->schema().has("label") ? "" : "needs data.stack, and data with labels";
}

}  // namespace

Metric stacked_metric() {
  return {.name = "stacked",
          .about = "data.stack: combinations of classes that occur, and their KL from all alike",
          .key = "kl",
          .misfit = misfit,
          .prepare = [](const MetricContext& c) {
            const auto classifier = std::make_shared<Classifier>(c.data, c.held_out, c.seed, c.comm, c.cache);
            const int64_t classes = c.data->schema()["label"].classes;
            int64_t combinations = 1;
            for (int64_t i = 0; i < c.stack; ++i) combinations *= classes;
            return [=, comm = c.comm] {
              return std::make_unique<Stacked>(classifier, classes, combinations, comm);
            };
          }};
}

}  // namespace saddle
