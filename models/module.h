// A layer or a network: named parameters, buffers and children. Like torch::nn::Module, without its headers'
// cost.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "dist/comm.h"

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

 private:
  void gather(Named Module::*list, const std::string& prefix, Named& into) const;
  Named parameters_, buffers_;
  std::vector<std::pair<std::string, std::shared_ptr<Module>>> children_;
  bool training_ = true;
};

// A network of a system's table: x and, for conditional ones, integer labels y [B] -> output.
class Network : public Module {
 public:
  virtual torch::Tensor forward(const torch::Tensor& x, const torch::Tensor& y) = 0;
};

}  // namespace saddle
