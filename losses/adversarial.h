// The two-sided losses of a GAN: what its discriminator and its generator each minimise.
//   const AdversarialLoss loss = adversarial_loss("hinge");
//   Tensor for_d = total(loss.d(real_scores, fake_scores, mean_here));
//   Tensor for_g = total(loss.g(real_scores, fake_scores, mean_here));
// A loss is a row of a table; it relies on nothing but the discriminator's raw outputs.
#pragma once

#include "dist/tensor.h"

#include <functional>
#include <string>
#include <vector>

namespace saddle {

// The mean over all elements of the *global* batch, []; differentiable.
using Mean = std::function<torch::Tensor(const torch::Tensor&)>;
torch::Tensor mean_here(const torch::Tensor& x);  // of one rank by itself

// One number for each score on real samples and on fakes. The loss is the mean of the one plus the mean of
// the other; undefined counts as zero.
struct Values {
  torch::Tensor real, fake;
};
torch::Tensor total(const Values& values);

struct LossOptions {
  double a = 0, b = 1, c = 1;  // of lsgan: D's targets for fake and real, G's for fake
  double label_smoothing = 0;  // D's target for real samples is 1 - this (Salimans 2016, section 3.4)
};

// Both functions take a discriminator's raw outputs (logits or critic values; no sigmoid) of any shape [B,
// ...] and return values to be minimised. `real` and `fake` may differ in size, but for a paired loss.
// Nothing is detached here. Differentiable twice, almost everywhere.
struct AdversarialLoss {
  using Side = std::function<Values(const torch::Tensor& real, const torch::Tensor& fake, const Mean& mean)>;
  std::string name;     // "non-saturating"
  std::string formula;  // one line for `saddle list losses`
  std::string source;   // "Goodfellow 2014"
  Side d, g;
  bool g_needs_real = false;  // else g's `real` may be undefined
  bool paired = false;        // real sample i against fake i
  bool logistic = false;      // D's outputs are logits of "real", which a smoothed label is for
};

// With x real, y = G(z), D raw outputs, sp(t) = log(1 + e^t), means over the batch:
//   minimax         D: sp(-D(x)) + sp(D(y))              G: -sp(D(y))          Goodfellow 2014, eq. 1
//   non-saturating  D: the same                          G: sp(-D(y))          Goodfellow 2014, section 3
//   lsgan           D: (D(x)-b)^2 / 2 + (D(y)-a)^2 / 2   G: (D(y)-c)^2 / 2     Mao 2017, eq. 2; 0, 1, 1 as eq. 9
//   wasserstein     D: D(y) - D(x)                       G: -D(y)              Arjovsky 2017, eq. 2; Lipschitz D
//   hinge           D: relu(1-D(x)) + relu(1+D(y))       G: -D(y)              Lim and Ye 2017; Miyato 2018, eq. 16
//   rpgan           D: sp(-(D(x_i) - D(y_i)))            G: sp(-(D(y_i) - D(x_i)))        Jolicoeur-Martineau 2019
//   ragan, ralsgan, rahinge: with r = D(x) - mean D(y), f = D(y) - mean D(x), half of
//                   D: l(r) + l(-f)                      G: l(-r) + l(f)                  Jolicoeur-Martineau 2019
//                   where l(t) is sp(-t), (t - 1)^2, relu(1 - t)
std::vector<AdversarialLoss> adversarial_losses(const LossOptions& options = {});  // all, in this order
std::vector<std::string> adversarial_loss_names();

// Exit::usage for an unknown name, with the names there are; for smoothed labels of a loss that has none.
AdversarialLoss adversarial_loss(const std::string& name, const LossOptions& options = {});

}  // namespace saddle
