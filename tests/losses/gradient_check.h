// Derivatives by autograd against central differences, in float64.
#pragma once

#include <gtest/gtest.h>
#include "dist/tensor.h"

#include <functional>
#include <utility>

namespace saddle::test {

inline torch::TensorOptions f64() {
  return torch::dtype(torch::kDouble);
}

// Expects the gradient of scalar `f` in the leaf `x` to be that of central differences; `f` reads `x` itself.
inline void expect_gradient(const std::function<torch::Tensor()>& f, torch::Tensor x,
                            double tolerance = 1e-7) {
  constexpr double h = 1e-5;
  auto gradient = torch::autograd::grad({f()}, {x}, {}, {}, false, /*allow_unused=*/true)[0];
  gradient = gradient.defined() ? gradient.flatten() : torch::zeros(x.numel(), f64());
  auto at = [&](double* value, double moved) {
    double kept = std::exchange(*value, moved);
    double result = f().item<double>();
    *value = kept;
    return result;
  };
  for (int64_t i = 0; i < x.numel(); ++i) {
    double* value = x.data_ptr<double>() + i;
    double slope = (at(value, *value + h) - at(value, *value - h)) / (2 * h);
    EXPECT_NEAR(gradient[i].item<double>(), slope, tolerance) << "element " << i;
  }
}

}  // namespace saddle::test
