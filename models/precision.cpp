#include "models/precision.h"

#include <ATen/autocast_mode.h>
#include <ATen/ops/_amp_update_scale.h>

namespace saddle {

Autocast::Autocast(torch::Device device, torch::ScalarType dtype)
    : device_(device.type()), active_(dtype == torch::kBFloat16 || dtype == torch::kHalf) {
  if (!active_) return;
  at::autocast::increment_nesting();
  at::autocast::set_autocast_dtype(device_, dtype);
  at::autocast::set_autocast_enabled(device_, true);
}

Autocast::~Autocast() {
  if (!active_) return;
  at::autocast::set_autocast_enabled(device_, false);
  // The casts of weights are kept until here; the next step's weights are others.
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
}

LossScale::LossScale(torch::Device device)
    : scale_(torch::full({1}, 65536.0, torch::dtype(torch::kFloat).device(device))),
      good_steps_(torch::zeros({1}, torch::dtype(torch::kInt).device(device))) {}

void LossScale::update(const torch::Tensor& not_finite) {
  at::_amp_update_scale_(scale_, good_steps_, not_finite, /*scale_growth_factor=*/2,
                         /*scale_backoff_factor=*/0.5, /*growth_interval=*/2000);
}

void LossScale::visit(StateVisitor& visitor) {
  visitor.tensor("scale", scale_);
  visitor.tensor("good_steps", good_steps_);
}

}  // namespace saddle
