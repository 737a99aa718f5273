#include "models/optimizer.h"

#include <optional>

namespace saddle {
namespace {

constexpr const char* kGroup = "optimizers";  // of options, in what --dry-run prints

std::optional<torch::Tensor> maybe(const torch::Tensor& tensor) {
  return tensor.defined() ? std::optional(tensor) : std::nullopt;
}

class Adam final : public Optimizer {
 public:
  Adam(const AdamOptions& options, const torch::Tensor& weights)
      : options_(options),
        mean_(torch::zeros_like(weights)),
        square_(torch::zeros_like(weights)),
        steps_(torch::zeros({}, weights.options().dtype(torch::kFloat))) {}

  void step(torch::Tensor& weights, const torch::Tensor& gradients, const Rescale& rescale) override {
    steps_.add_(1);
    if (rescale.skip.defined()) steps_.sub_(rescale.skip.squeeze());
    at::_fused_adam_({weights}, {gradients}, {mean_}, {square_}, {}, {steps_}, options_.lr, options_.beta1,
                     options_.beta2,
                     /*weight_decay=*/0, options_.eps, /*amsgrad=*/false, /*maximize=*/false,
                     maybe(rescale.divisor), maybe(rescale.skip));
  }

  void visit(StateVisitor& visitor) override {
    visitor.tensor("mean", mean_);
    visitor.tensor("square", square_);
    visitor.tensor("steps", steps_);
  }

 private:
  AdamOptions options_;
  torch::Tensor mean_, square_, steps_;
};

class RmsProp final : public Optimizer {
 public:
  RmsProp(const RmsPropOptions& options, const torch::Tensor& weights)
      : options_(options), square_(torch::zeros_like(weights)) {}

  void step(torch::Tensor& weights, const torch::Tensor& gradients, const Rescale& rescale) override {
    if (rescale.divisor.defined()) gradients.div_(rescale.divisor);
    if (!rescale.skip.defined()) return update(weights, square_, gradients);
    torch::Tensor new_weights = weights.clone(), new_square = square_.clone();
    update(new_weights, new_square, gradients);
    const torch::Tensor skip = rescale.skip.to(torch::kBool);
    weights.copy_(torch::where(skip, weights, new_weights));
    square_.copy_(torch::where(skip, square_, new_square));
  }

  void visit(StateVisitor& visitor) override { visitor.tensor("square", square_); }

 private:
  void update(torch::Tensor& weights, torch::Tensor& square, const torch::Tensor& gradients) const {
    square.mul_(options_.alpha).addcmul_(gradients, gradients, 1 - options_.alpha);
    weights.addcdiv_(gradients, square.sqrt().add_(options_.eps), -options_.lr);
  }

  RmsPropOptions options_;
  torch::Tensor square_;
};

}  // namespace

void describe(OptionTable& table, const std::string& prefix, AdamOptions& options) {
  const OptionTable::Group group(table, kGroup);
  table.add(prefix + ".lr", options.lr, "Adam's learning rate", {0, 1});
  table.add(prefix + ".beta1", options.beta1, "Adam's decay of the mean", {0, 0.9999});
  table.add(prefix + ".beta2", options.beta2, "Adam's decay of the square", {0, 0.999999});
  table.add(prefix + ".eps", options.eps, "Adam's epsilon", {0, 1});
}

void describe(OptionTable& table, const std::string& prefix, RmsPropOptions& options) {
  const OptionTable::Group group(table, kGroup);
  table.add(prefix + ".lr", options.lr, "RMSProp's learning rate", {0, 1});
  table.add(prefix + ".alpha", options.alpha, "RMSProp's decay of the square", {0, 0.999999});
  table.add(prefix + ".eps", options.eps, "RMSProp's epsilon", {0, 1});
}

std::unique_ptr<Optimizer> make_optimizer(const AdamOptions& options, const torch::Tensor& weights) {
  return std::make_unique<Adam>(options, weights);
}

std::unique_ptr<Optimizer> make_optimizer(const RmsPropOptions& options, const torch::Tensor& weights) {
  return std::make_unique<RmsProp>(options, weights);
}

}  // namespace saddle
