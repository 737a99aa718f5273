#include "losses/lecam.h"

namespace saddle {

using torch::Tensor;

Tensor lecam(const Tensor& on_real, const Tensor& on_fake, const Tensor& average_real,
             const Tensor& average_fake, bool one_sided) {
  const Tensor above = on_real - average_fake.detach().to(on_real.scalar_type()),
               below = average_real.detach().to(on_fake.scalar_type()) - on_fake;
  if (!one_sided) return above.square().mean() + below.square().mean();
  return torch::relu(above).square().mean() + torch::relu(below).square().mean();
}

Tensor lecam_average(const Tensor& before, const Tensor& mean, double decay, const Tensor& copy) {
  return torch::where(copy.to(torch::kBool), mean, before * decay + mean * (1 - decay));
}

}  // namespace saddle
