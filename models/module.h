// A layer or a network: named parameters, buffers and children. Like torch::nn::Module, without its headers'
// cost.
//   struct Critic final : Network {
//     explicit Critic(Maker& make) { out = child("out", std::make_shared<Linear>(make, 2, 1)); }
//     Output forward(const Input& in) override { return {out->forward(in.x)}; }
//     std::shared_ptr<Linear> out;
//   };
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "data/schema.h"
#include "dist/comm.h"
#include "dist/draw.h"

namespace saddle {

using Named = std::vector<std::pair<std::string, torch::Tensor>>;

// What layers are made with: the ranks they normalise over and the stream their weights are drawn from.
struct Maker {
  Maker(Comm comm, uint64_t seed);
  Comm comm;
  at::Generator generator;
  torch::Tensor uniform(at::IntArrayRef shape, double bound);  // U(-bound, bound), float32 on the host
  torch::Tensor normal(at::IntArrayRef shape, double mean, double stddev);
};

class Module {
 public:
  Module() = default;
  virtual ~Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  // Depth first in order of registration, named "child.parameter". The tensors are the live ones.
  Named parameters() const;
  Named buffers() const;
  void train(bool training);
  bool training() const { return training_; }
  // Whether a sample's result depends on the other samples of its batch while training: true of a batch norm
  // and of every module that holds one. A penalty on each sample's gradient has no meaning then.
  bool mixes_samples() const;
  // Moves in place: tensors handed out before stay the live ones. Floating-point ones take the dtype.
  void to(torch::Device device, torch::ScalarType dtype);
  // Makes all parameters buffers: no player trains them, and checkpoints keep them by the same names. Before
  // a player is made of them.
  void freeze();
  void channels_last();  // the memory format of the tensors that have four dimensions

 protected:
  torch::Tensor parameter(const std::string& name, torch::Tensor initial);
  torch::Tensor buffer(const std::string& name, torch::Tensor initial);
  template <class M>
  std::shared_ptr<M> child(const std::string& name, std::shared_ptr<M> module) {
    children_.emplace_back(name, module);
    return module;
  }
  // Of a module that compares the samples of a batch.
  void mix_samples() { mixes_samples_ = true; }

 private:
  void gather(Named Module::*list, const std::string& prefix, Named& into) const;
  Named parameters_, buffers_;
  std::vector<std::pair<std::string, std::shared_ptr<Module>>> children_;
  bool training_ = true, mixes_samples_ = false;
};

// What a network is run on.
struct Input {
  torch::Tensor x;  // latents, images, points
  torch::Tensor y =
      {};  // what it is conditional on: labels [B], attributes [B, A], a map; undefined: nothing
  Draw* draw = nullptr;  // for noise and dropout; without one the net is a function of x and y alone
};

// What a network gives back. Converts to the tensor that it is for.
struct Output {
  torch::Tensor x;  // samples, or raw scores
  Batch more = {};  // by name, of a net with several outputs: "features", "class", "mask"
  operator const torch::Tensor&() const { return x; }
};

// A network of a system's table.
class Network : public Module {
 public:
  virtual Output forward(const Input& in) = 0;
};

}  // namespace saddle
