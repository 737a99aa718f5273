// Arithmetic below float32: nets compute in it, weights, losses and optimizers stay in float32 (Micikevicius
// 2018, "Mixed precision training", sections 3.1 and 3.2).
#pragma once

#include "dist/state.h"

namespace saddle {

// While in scope, torch's autocast: matrix products and convolutions on `device` run in `dtype`, sums and
// norms in float32. Nothing for float32 and float64.
class Autocast {
 public:
  Autocast(torch::Device device, torch::ScalarType dtype);
  ~Autocast();
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  torch::DeviceType device_;
  bool active_;
};

// What is left to do to a gradient before the optimizer uses it, decided on the device and, because it
// follows from the summed gradient alone, alike on all ranks. Float32 [1] each, or undefined.
struct Rescale {
  torch::Tensor divisor;  // of the gradient
  torch::Tensor skip;     // 1: the step must change nothing
};

// The dynamic loss scale of one player (section 3.2): doubled after 2,000 good steps, halved by one whose
// gradient is not finite. It lives on the device; no step waits for it.
class LossScale {
 public:
  explicit LossScale(torch::Device device);
  const torch::Tensor& value() const { return scale_; }  // [1]
  void update(const torch::Tensor& not_finite);          // [1], 0 or 1
  void visit(StateVisitor& visitor);

 private:
  torch::Tensor scale_, good_steps_;
};

}  // namespace saddle
