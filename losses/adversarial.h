// The two-sided losses of a GAN: what its discriminator and its generator each minimise.
// A loss is a row of a table; it relies on nothing but the discriminator's raw outputs.
#pragma once

#include "dist/tensor.h"

#include <string>
#include <vector>

namespace saddle {

// Both functions take a discriminator's raw outputs (logits or critic values; no sigmoid) of any shape [B,
// ...] and return a scalar to be minimised: a mean over all elements, of each batch on its own, so `real` and
// `fake` may differ in size. Differentiable twice (almost everywhere); the fake logits are not detached here.
struct AdversarialLoss {
  std::string name;     // "non-saturating"
  std::string formula;  // one line for `saddle list losses`
  std::string source;   // "Goodfellow 2014"
  torch::Tensor (*d)(const torch::Tensor& real, const torch::Tensor& fake);
  torch::Tensor (*g)(const torch::Tensor& fake);
};

// With x real, y = G(z), D raw outputs, sp(t) = log(1 + e^t), means over the batch:
//   minimax         D: sp(-D(x)) + sp(D(y))             G: -sp(D(y))       Goodfellow 2014, eq. 1
//   non-saturating  D: the same                         G: sp(-D(y))       Goodfellow 2014, section 3
//   lsgan           D: (D(x)-1)^2 / 2 + D(y)^2 / 2      G: (D(y)-1)^2 / 2  Mao 2017, eq. 9 (a,b,c = 0,1,1)
//   wasserstein     D: D(y) - D(x)                      G: -D(y)           Arjovsky 2017, eq. 2; needs a
//   Lipschitz D hinge           D: relu(1-D(x)) + relu(1+D(y))      G: -D(y)           Lim and Ye 2017;
//   Miyato 2018, eq. 16-17
const std::vector<AdversarialLoss>& adversarial_losses();  // all, in this order

// Throws Exit::usage for an unknown name; the message lists the names there are.
const AdversarialLoss& adversarial_loss(const std::string& name);

}  // namespace saddle
