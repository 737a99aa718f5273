// Generators and discriminators that two or more systems use, sized by the data's field.
#pragma once

#include <vector>

#include "data/schema.h"
#include "models/module.h"
#include "models/options.h"

namespace saddle {

enum class Norm { none, batch, instance, spectral };

// One net's size. For a multilayer perceptron: hidden units and hidden layers. For a convolutional net:
// channels at the largest resolution (they double as it halves) and the number of halvings; depth 0 halves
// down to 4 to 7 pixels.
struct NetOptions {
  int64_t width = 64;
  int64_t depth = 0;
  // Of images: dcgan, or resnet (WGAN-GP's residual nets).
  std::string net = "dcgan";
  // Between convolutions: none, batch, instance; spectral: of the weights of all layers, and nothing between.
  std::string norm = "none";
  // How a DCGAN's discriminator sees a label: as maps beside the image, or by projection.
  std::string labels = "maps";
  // Groups for a convolutional discriminator's minibatch standard deviation (blocks/minibatch.h); 0: without.
  int64_t minibatch_std = 0;
  // Lowest layers of a discriminator, next to its input, that keep the weights they start with
  // (freeze_lowest).
  int64_t freeze = 0;
};

using Layers = std::vector<std::vector<std::shared_ptr<Module>>>;  // from the input on: the modules of each
// Freezes the first `count` of a discriminator's hidden layers, each with its norm: Freeze-D (Mo et al. 2020,
// "Freeze the discriminator"), for a training that starts from another's weights. Running statistics and
// spectral norms' vectors, which are no weights, go on. Exit::usage if there are not so many.
void freeze_lowest(const Layers& layers, int64_t count);

// What the nets must fit.
struct NetShape {
  Field field;          // what is generated and judged: [D], or [C, H, W]
  int64_t latent = 0;   // input of a generator
  int64_t classes = 0;  // > 0: conditional on labels, embedded in `embedding` numbers
  int64_t embedding = 16;
  int64_t outputs = 1;  // of a discriminator, a sample; an encoder has one a latent
};

// Multilayer perceptrons. G: [B, latent] -> [B, field]; ReLU; tanh at the end for images, linear for vectors.
// D: [B, field] -> [B, outputs]; LeakyReLU 0.2. Labels are embedded and concatenated to the input (Mirza and
// Osindero 2014).
std::shared_ptr<Network> mlp_generator(Maker&, const NetShape&, const NetOptions&);
std::shared_ptr<Network> mlp_discriminator(Maker&, const NetShape&, const NetOptions&);

// DCGAN's nets (Radford 2016, section 3): 4x4 kernels of stride 2, no pooling, no hidden dense layer; ReLU
// and tanh in G, LeakyReLU 0.2 in D, no norm in G's last and D's first layer (but the spectral one). Labels:
// concatenated to z; in D as constant maps beside the image, or by projection of its last features (Miyato
// and Koyama 2018, equation 6). Exit::data if H or W cannot be halved `depth` times
// down to 2 or more pixels.
std::shared_ptr<Network> conv_generator(Maker&, const NetShape&, const NetOptions&);
std::shared_ptr<Network> conv_discriminator(Maker&, const NetShape&, const NetOptions&);

// Residual nets (Gulrajani 2017, appendix C; released code gan_cifar_resnet.py): `depth` blocks that double,
// norm, ReLU and tanh in G; one that halves first thing, depth - 2 more, two that do not, and a mean over
// the pixels in D; all of `width` channels. Resampling is folded into the 3x3 convolutions beside it
// (blocks/resampled.h) unless `folded` is false. Labels: concatenated to z, and by projection in D (Miyato
// and Koyama 2018, equation 6).
std::shared_ptr<Network> resnet_generator(Maker&, const NetShape&, const NetOptions&, bool folded = true);
std::shared_ptr<Network> resnet_discriminator(Maker&, const NetShape&, const NetOptions&, bool folded = true);

// By NetOptions::net and the field: residual, which is for images only; convolutional for images, a
// perceptron else.
std::shared_ptr<Network> generator_for(Maker&, const NetShape&, const NetOptions&);
std::shared_ptr<Network> discriminator_for(Maker&, const NetShape&, const NetOptions&);

}  // namespace saddle
