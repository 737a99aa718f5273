#include "models/module.h"

#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>

namespace saddle {

Maker::Maker(Comm comm, uint64_t seed)
    : comm(std::move(comm)), generator(at::detail::createCPUGenerator(seed)) {}

torch::Tensor Maker::uniform(at::IntArrayRef shape, double bound) {
  return torch::empty(shape, torch::kFloat).uniform_(-bound, bound, generator);
}

torch::Tensor Maker::normal(at::IntArrayRef shape, double mean, double stddev) {
  return torch::empty(shape, torch::kFloat).normal_(mean, stddev, generator);
}

void Module::gather(Named Module::*list, const std::string& prefix, Named& into) const {
  for (const auto& [name, tensor] : this->*list) into.emplace_back(prefix + name, tensor);
  for (const auto& [name, child] : children_) child->gather(list, prefix + name + ".", into);
}

Named Module::parameters() const {
  Named all;
  gather(&Module::parameters_, "", all);
  return all;
}

Named Module::buffers() const {
  Named all;
  gather(&Module::buffers_, "", all);
  return all;
}

void Module::train(bool training) {
  training_ = training;
  for (auto& [name, child] : children_) child->train(training);
}

bool Module::mixes_samples() const {
  return mixes_samples_ || std::any_of(children_.begin(), children_.end(),
                                       [](const auto& named) { return named.second->mixes_samples(); });
}

void Module::freeze() {
  for (const auto& [name, tensor] : parameters_) {
    torch::Tensor(tensor).set_requires_grad(false);
    buffers_.emplace_back(name, tensor);
  }
  parameters_.clear();
  for (auto& [name, child] : children_) child->freeze();
}

void Module::channels_last() {
  at::NoGradGuard no_grad;
  for (const auto& list : {parameters(), buffers()})
    for (const auto& [name, tensor] : list)
      if (tensor.dim() == 4)
        torch::Tensor(tensor).set_data(tensor.contiguous(at::MemoryFormat::ChannelsLast));
}

void Module::to(torch::Device device, torch::ScalarType dtype) {
  at::NoGradGuard no_grad;
  for (const auto& list : {parameters(), buffers()})
    for (const auto& [name, tensor] : list)
      torch::Tensor(tensor).set_data(
          tensor.to(device, tensor.is_floating_point() ? dtype : tensor.scalar_type()));
}

torch::Tensor Module::parameter(const std::string& name, torch::Tensor initial) {
  parameters_.emplace_back(name, initial.set_requires_grad(true));
  return initial;
}

torch::Tensor Module::buffer(const std::string& name, torch::Tensor initial) {
  buffers_.emplace_back(name, initial);
  return initial;
}

}  // namespace saddle
