#include "models/optimizer.h"

#include <optional>

namespace saddle {
namespace {

constexpr const char* kGroup = "optimizers";  // of options, in what --dry-run prints

std::optional<torch::Tensor> maybe(const torch::Tensor& tensor) {
  return tensor.defined() ? std::optional(tensor) : std::nullopt;
}

// A learning rate: a number on the host, or, if it changes, on the device too, where a captured step reads it
// anew.
class Rate {
 public:
  Rate(double first, const Schedule& schedule, const torch::Tensor& weights)
      : first_(first), schedule_(schedule), now_(first) {
    if (!schedule.constant())
      device_ =
          torch::full({}, first, weights.options().dtype(weights.is_cuda() ? torch::kFloat : torch::kDouble));
  }
  void begin_step(int64_t step, int64_t steps) {
    if (schedule_.constant()) return;
    now_ = schedule_.at(first_, first_ * schedule_.final, step, steps);
    device_.fill_(now_);
  }
  double now() const { return now_; }
  const torch::Tensor& device() const { return device_; }  // undefined if it does not change

 private:
  double first_;
  Schedule schedule_;
  double now_;
  torch::Tensor device_;
};

class Adam final : public Optimizer {
 public:
  Adam(const AdamOptions& options, const torch::Tensor& weights)
      : options_(options),
        rate_(options.lr, options.schedule, weights),
        mean_(torch::zeros_like(weights)),
        square_(torch::zeros_like(weights)),
        steps_(torch::zeros({}, weights.options().dtype(torch::kFloat))) {}

  void step(torch::Tensor& weights, const torch::Tensor& gradients, const Rescale& rescale) override {
    steps_.add_(1);
    if (rescale.skip.defined()) steps_.sub_(rescale.skip.squeeze());
    const auto update = [&](const auto& lr) {
      at::_fused_adam_({weights}, {gradients}, {mean_}, {square_}, {}, {steps_}, lr, options_.beta1, beta2_,
                       /*weight_decay=*/0, options_.eps, /*amsgrad=*/false, /*maximize=*/false,
                       maybe(rescale.divisor), maybe(rescale.skip));
    };
    rate_.device().defined() ? update(rate_.device()) : update(options_.lr);
  }

  void begin_step(int64_t step, int64_t steps) override {
    rate_.begin_step(step, steps);
    if (options_.beta2_final >= 0)
      beta2_ = options_.schedule.at(options_.beta2, options_.beta2_final, step, steps);
  }
  bool changes_on_host() const override { return options_.beta2_final >= 0 && !options_.schedule.constant(); }
  double rate() const override { return rate_.now(); }

  void visit(StateVisitor& visitor) override {
    visitor.tensor("mean", mean_);
    visitor.tensor("square", square_);
    visitor.tensor("steps", steps_);
  }

 private:
  AdamOptions options_;
  Rate rate_;
  double beta2_ = options_.beta2;
  torch::Tensor mean_, square_, steps_;
};

class RmsProp final : public Optimizer {
 public:
  RmsProp(const RmsPropOptions& options, const torch::Tensor& weights)
      : options_(options),
        rate_(options.lr, options.schedule, weights),
        square_(torch::zeros_like(weights)) {}

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
  void begin_step(int64_t step, int64_t steps) override { rate_.begin_step(step, steps); }
  double rate() const override { return rate_.now(); }

 private:
  void update(torch::Tensor& weights, torch::Tensor& square, const torch::Tensor& gradients) const {
    square.mul_(options_.alpha).addcmul_(gradients, gradients, 1 - options_.alpha);
    const torch::Tensor root = square.sqrt().add_(options_.eps);
    if (rate_.device().defined())
      weights.sub_(gradients / root * rate_.device().to(weights.scalar_type()));
    else
      weights.addcdiv_(gradients, root, -options_.lr);
  }

  RmsPropOptions options_;
  Rate rate_;
  torch::Tensor square_;
};

}  // namespace

void describe(OptionTable& table, const std::string& prefix, AdamOptions& options) {
  const OptionTable::Group group(table, kGroup);
  table.add(prefix + ".lr", options.lr, "Adam's learning rate", {0, 1});
  describe(table, prefix + ".lr", options.schedule);
  table.add(prefix + ".beta1", options.beta1, "Adam's decay of the mean", {0, 0.9999});
  table.add(prefix + ".beta2", options.beta2, "Adam's decay of the square", {0, 0.999999});
  table.add(prefix + ".beta2.final", options.beta2_final, "what it comes to as lr does; -1: it stays",
            {-1, 0.999999});
  table.add(prefix + ".eps", options.eps, "Adam's epsilon", {0, 1});
}

void describe(OptionTable& table, const std::string& prefix, RmsPropOptions& options) {
  const OptionTable::Group group(table, kGroup);
  table.add(prefix + ".lr", options.lr, "RMSProp's learning rate", {0, 1});
  describe(table, prefix + ".lr", options.schedule);
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
