#include "dist/replica.h"

#include <torch/csrc/autograd/functions/accumulate_grad.h>
#include <torch/csrc/autograd/utils/lambda_post_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <sstream>

#include "dist/error.h"

namespace saddle {

Replica::Replica(const Comm& comm, Named parameters, Reduction how, std::string name)
    : comm_(comm),
      parameters_(std::move(parameters)),
      how_(how),
      name_(std::move(name)),
      reached_(parameters_.size()),
      alive_(std::make_shared<bool>(true)) {
  require(!parameters_.empty(), Exit::bug, "a replica needs at least one parameter");
  std::set<const void*> seen;
  for (const auto& [name, p] : parameters_) {
    require(p.scalar_type() == parameters_[0].second.scalar_type() &&
                p.device() == parameters_[0].second.device(),
            Exit::bug, "parameter '{}': a replica's parameters share one dtype and device", name);
    require(seen.insert(p.unsafeGetTensorImpl()).second, Exit::bug, "parameter '{}' is listed twice", name);
  }
  flatten();
  comm_.broadcast(weights_, 0, name_ + " weights");
  fill_buckets();
  for (size_t i = 0; i < parameters_.size(); ++i) hook(i);
}

Replica::~Replica() {
  *alive_ = false;
}

void Replica::flatten() {
  // Elements as they lie in memory, so that channels-last parameters stay channels-last.
  std::vector<torch::Tensor> flat;
  for (auto& [name, p] : parameters_) {
    if (!p.is_non_overlapping_and_dense()) p.set_data(p.detach().contiguous());
    flat.push_back(p.detach().as_strided({p.numel()}, {1}));
  }
  weights_ = torch::cat(flat);
  gradients_ = torch::zeros_like(weights_);
  int64_t at = 0;
  for (auto& [name, p] : parameters_) {
    const auto view = [at, &parameter = p](const torch::Tensor& whole) {
      return whole.narrow(0, at, parameter.numel()).as_strided(parameter.sizes(), parameter.strides());
    };
    const torch::Tensor weights = view(weights_), gradients = view(gradients_);
    p.set_data(weights);
    p.mutable_grad() = gradients;
    views_.push_back(gradients);
    at += p.numel();
  }
}

void Replica::fill_buckets() {
  constexpr int64_t kMiB = int64_t{1} << 20;
  const auto total = static_cast<int64_t>(gradients_.nbytes());
  const int64_t usual = how_.bytes > 0 ? how_.bytes : std::clamp(total / 8, kMiB, 25 * kMiB);
  bucket_of_.resize(parameters_.size());
  int64_t end = weights_.numel(), begin = end;
  for (size_t i = parameters_.size(); i-- > 0;) {
    if (begin == end) {
      buckets_.emplace_back();
      buckets_.back().name = fmt::format("{} bucket {}", name_, buckets_.size() - 1);
    }
    begin -= parameters_[i].second.numel();
    bucket_of_[i] = buckets_.size() - 1;
    Bucket& bucket = buckets_.back();
    ++bucket.parameters;
    bucket.gradients = gradients_.narrow(0, begin, end - begin);
    const int64_t limit = buckets_.size() == 1 ? std::min(how_.first_bytes, usual) : usual;
    if (static_cast<int64_t>(bucket.gradients.nbytes()) >= limit) end = begin;
  }
  order_.resize(buckets_.size());
  std::iota(order_.begin(), order_.end(), 0);
}

void Replica::hook(size_t parameter) {
  auto node = torch::autograd::impl::grad_accumulator(parameters_[parameter].second);
  auto arrive = [this, alive = alive_, parameter](const torch::autograd::variable_list& outputs,
                                                  const torch::autograd::variable_list&) {
    if (*alive) take(parameter);
    if (*alive && armed_) arrived(parameter);
    return outputs;
  };
  node->add_post_hook(std::make_unique<torch::autograd::utils::LambdaPostHook>(std::move(arrive)));
  keep_.push_back(std::move(node));
}

void Replica::learn(bool yes) {
  for (auto& [name, p] : parameters_) p.set_requires_grad(yes);
}

// Autograd hands a parameter without a gradient its first one whole: one copy into the flat vector, where
// adding to zeros would read and write it twice.
void Replica::zero_grad() {
  for (auto& [name, p] : parameters_) p.mutable_grad().reset();
}

void Replica::take(size_t parameter) {
  torch::Tensor& gradient = parameters_[parameter].second.mutable_grad();
  if (gradient.is_same(views_[parameter])) return;  // a later backward pass has added to it
  at::NoGradGuard no_grad;
  views_[parameter].copy_(gradient);
  gradient = views_[parameter];
}

// What no gradient has reached since zero_grad is zero.
void Replica::settle() {
  for (size_t i = 0; i < parameters_.size(); ++i) {
    torch::Tensor& gradient = parameters_[i].second.mutable_grad();
    if (gradient.defined()) continue;
    views_[i].zero_();
    gradient = views_[i];
  }
}

torch::Tensor& Replica::gradients() {
  settle();
  return gradients_;
}

void Replica::arm() {
  for (Bucket& bucket : buckets_) bucket.waiting = bucket.parameters;
  std::fill(reached_.begin(), reached_.end(), char{0});
  filled_.clear();
  next_ = 0;
  armed_ = true;
}

void Replica::arrived(size_t parameter) {
  if (std::exchange(reached_[parameter], char{1}))
    fail(Exit::bug,
         "player {}: parameter '{}' got gradients of two backward passes after Replica::arm, and the second "
         "would not be reduced: arm before the last one only",
         name_, parameters_[parameter].first);
  const size_t bucket = bucket_of_[parameter];
  if (--buckets_[bucket].waiting > 0) return;
  filled_.push_back(static_cast<int64_t>(bucket));
  launch_ready(false);
}

// In an agreed order, so that every rank starts the same collectives in the same order whatever arrives
// first.
void Replica::launch_ready(bool all) {
  for (; next_ < order_.size() && (all || buckets_[order_[next_]].waiting == 0); ++next_)
    launch(buckets_[order_[next_]]);
}

void Replica::launch(Bucket& bucket) {
  const bool narrow =
      comm_.size() > 1 && how_.wire != torch::kFloat && weights_.scalar_type() == torch::kFloat;
  bucket.wire = narrow ? bucket.gradients.to(how_.wire) : bucket.gradients;
  bucket.wait = comm_.all_reduce_async(bucket.wire, bucket.name);
}

void Replica::finish() {
  require(armed_, Exit::bug, "player {}: Replica::finish without arm", name_);
  armed_ = false;
  require(
      std::count(reached_.begin(), reached_.end(), char{1}) > 0, Exit::bug,
      "player {}: no gradient reached any of its parameters between arm and finish; is its loss a function "
      "of them, and was backward called?",
      name_);
  settle();
  launch_ready(true);
  for (const int64_t i : order_) {
    Bucket& bucket = buckets_[i];
    bucket.wait();
    bucket.wait = nullptr;
    if (!bucket.wire.is_same(bucket.gradients)) bucket.gradients.copy_(bucket.wire);
    bucket.wire.reset();
  }
  if (!agreed_) agree_on_order();
}

// Once, after the first reduction: later ones launch buckets as rank 0's backward pass fills them.
void Replica::agree_on_order() {
  agreed_ = true;
  if (comm_.size() == 1 || buckets_.size() < 2) return;
  for (const int64_t i : order_)
    if (std::find(filled_.begin(), filled_.end(), i) == filled_.end()) filled_.push_back(i);
  std::string text;
  for (const int64_t i : filled_) text += std::to_string(i) + " ";
  std::istringstream from_rank_0(comm_.broadcast_text(text));
  for (int64_t& i : order_) from_rank_0 >> i;
}

std::vector<std::string> Replica::unreached() const {
  std::vector<std::string> names;
  for (size_t i = 0; i < parameters_.size(); ++i)
    if (!reached_[i]) names.push_back(parameters_[i].first);
  return names;
}

std::vector<int64_t> Replica::bucket_bytes() const {
  std::vector<int64_t> bytes;
  for (const int64_t i : order_) bytes.push_back(static_cast<int64_t>(buckets_[i].gradients.nbytes()));
  return bytes;
}

void Replica::visit(StateVisitor& visitor) {
  for (auto& [name, p] : parameters_) visitor.tensor(name, p);
}

}  // namespace saddle
