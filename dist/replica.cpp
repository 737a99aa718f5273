#include "dist/replica.h"

#include <torch/csrc/autograd/functions/accumulate_grad.h>
#include <torch/csrc/autograd/utils/lambda_post_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <set>

#include "dist/error.h"

namespace saddle {

Replica::Replica(const Comm& comm, Named parameters, Buckets buckets)
    : comm_(comm), parameters_(std::move(parameters)), alive_(std::make_shared<bool>(true)) {
  require(!parameters_.empty(), Exit::bug, "a replica needs at least one parameter");
  std::set<const void*> seen;
  for (const auto& [name, p] : parameters_) {
    require(p.scalar_type() == parameters_[0].second.scalar_type() &&
                p.device() == parameters_[0].second.device(),
            Exit::bug, "parameter '{}': a replica's parameters share one dtype and device", name);
    require(seen.insert(p.unsafeGetTensorImpl()).second, Exit::bug, "parameter '{}' is listed twice", name);
  }
  flatten();
  comm_.broadcast(weights_);
  fill_buckets(buckets);
  if (comm_.size() > 1)
    for (size_t i = 0; i < parameters_.size(); ++i) hook(i);
}

Replica::~Replica() {
  *alive_ = false;
}

void Replica::flatten() {
  std::vector<torch::Tensor> flat;
  for (const auto& [name, p] : parameters_) flat.push_back(p.detach().reshape(-1));
  weights_ = torch::cat(flat);
  gradients_ = torch::zeros_like(weights_);
  int64_t at = 0;
  for (auto& [name, p] : parameters_) {
    p.set_data(weights_.narrow(0, at, p.numel()).view(p.sizes()));
    p.mutable_grad() = gradients_.narrow(0, at, p.numel()).view(p.sizes());
    at += p.numel();
  }
}

void Replica::fill_buckets(const Buckets& sizes) {
  bucket_of_.resize(parameters_.size());
  int64_t end = weights_.numel(), begin = end;
  for (size_t i = parameters_.size(); i-- > 0;) {
    if (begin == end) buckets_.emplace_back();
    begin -= parameters_[i].second.numel();
    bucket_of_[i] = buckets_.size() - 1;
    Bucket& bucket = buckets_.back();
    ++bucket.parameters;
    bucket.gradients = gradients_.narrow(0, begin, end - begin);
    const int64_t limit = buckets_.size() == 1 ? sizes.first_bytes : sizes.bytes;
    if (static_cast<int64_t>(bucket.gradients.nbytes()) >= limit) end = begin;
  }
}

void Replica::hook(size_t parameter) {
  auto node = torch::autograd::impl::grad_accumulator(parameters_[parameter].second);
  auto arrive = [this, alive = alive_, bucket = bucket_of_[parameter]](
                    const torch::autograd::variable_list& outputs, const torch::autograd::variable_list&) {
    if (*alive && armed_) arrived(bucket);
    return outputs;
  };
  node->add_post_hook(std::make_unique<torch::autograd::utils::LambdaPostHook>(std::move(arrive)));
  keep_.push_back(std::move(node));
}

void Replica::learn(bool yes) {
  for (auto& [name, p] : parameters_) p.set_requires_grad(yes);
}

void Replica::zero_grad() {
  gradients_.zero_();
}

void Replica::arm() {
  for (Bucket& bucket : buckets_) bucket.waiting = bucket.parameters;
  next_ = 0;
  armed_ = true;
}

void Replica::arrived(size_t bucket) {
  --buckets_[bucket].waiting;
  launch_ready(false);
}

// In index order, so that every rank starts the same collectives in the same order whatever arrives first.
void Replica::launch_ready(bool all) {
  for (; next_ < buckets_.size() && (all || buckets_[next_].waiting == 0); ++next_)
    buckets_[next_].wait = comm_.all_reduce_async(buckets_[next_].gradients);
}

void Replica::finish() {
  require(armed_, Exit::bug, "Replica::finish without arm");
  armed_ = false;
  launch_ready(true);
  for (Bucket& bucket : buckets_) {
    bucket.wait();
    bucket.wait = nullptr;
  }
}

void Replica::visit(StateVisitor& visitor) {
  for (auto& [name, p] : parameters_) visitor.tensor(name, p);
}

}  // namespace saddle
