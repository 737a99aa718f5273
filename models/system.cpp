#include "models/system.h"

#include <algorithm>
#include <cmath>

#include "data/feed/loader.h"
#include "data/view/kind.h"
#include "dist/error.h"
#include "dist/file.h"
#include "dist/safetensors.h"
#include "models/evaluating.h"

namespace saddle {
namespace {

std::vector<SystemEntry>& registry() {
  static std::vector<SystemEntry> entries;
  return entries;
}

}  // namespace

void require_distinct(const std::vector<SystemEntry>& entries) {
  const auto same = std::adjacent_find(entries.begin(), entries.end(),
                                       [](const auto& a, const auto& b) { return a.name == b.name; });
  if (same == entries.end()) return;
  fail(Exit::bug, "two systems are called '{}': in {} and in {}; give one of them another name", same->name,
       same->file, (same + 1)->file);
}

const std::vector<SystemEntry>& systems() {
  require_distinct(registry());
  return registry();
}

bool register_system(SystemEntry entry) {
  registry().push_back(std::move(entry));
  std::sort(registry().begin(), registry().end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return true;
}

const SystemEntry& system_entry(const std::string& name) {
  std::vector<std::string> names;
  for (const SystemEntry& entry : systems()) {
    if (entry.name == name) return entry;
    names.push_back(entry.name);
  }
  fail(Exit::usage, "unknown system '{}'{}; `saddle list systems` names them all", name,
       did_you_mean(name, names));
}

Output Net::run(Network& network, const Input& in) const {
  Input laid = in;
  if (channels_last && in.x.dim() == 4) laid.x = in.x.contiguous(at::MemoryFormat::ChannelsLast);
  if (arithmetic == dtype) return network.forward(laid);
  const Autocast scope(in.x.device(), arithmetic);
  Output out = network.forward(laid);
  const auto widened = [&](const torch::Tensor& x) { return x.is_floating_point() ? x.to(dtype) : x; };
  Batch more;
  for (const auto& [key, tensor] : out.more) more.set(key, widened(tensor));
  return {widened(out.x), more};
}

SumOverStep::SumOverStep(const Comm& comm, int64_t numbers)
    : comm_(comm), sums_(torch::zeros({numbers}, torch::dtype(torch::kDouble).device(comm.device()))) {}

void SumOverStep::add(const torch::Tensor& values) {
  sums_.add_(values.detach());
}

torch::Tensor SumOverStep::take(const std::string& name) {
  torch::Tensor all = sums_.clone();
  comm_.all_reduce(all, Reduce::sum, name);
  sums_.zero_();
  return all;
}

namespace {

Net net_of(const std::string& name, std::shared_ptr<Network> live, const Context& context) {
  return {.name = name,
          .live = std::move(live),
          .average = nullptr,
          .dtype = context.dtype,
          .arithmetic = context.arithmetic,
          .channels_last = context.channels_last};
}

Named prefixed(const std::string& prefix, const Named& tensors) {
  Named all;
  for (const auto& [name, tensor] : tensors) all.emplace_back(prefix + "." + name, tensor);
  return all;
}

}  // namespace

Named Net::parameters(bool raw) const {
  return prefixed(name, shown(raw).parameters());
}

Named Net::buffers(bool raw) const {
  return prefixed(name, shown(raw).buffers());
}

std::vector<Net> System::nets() const {
  std::vector<Net> all;
  for (const auto& [net, factory] : nets_) all.push_back(net);
  return all;
}

std::shared_ptr<Network> System::make(const std::string& name, const Factory& factory) const {
  Maker make(context_.comm, Stream(context_.seed, "init/" + name).key);
  std::shared_ptr<Network> made = factory(make);
  made->to(context_.comm.device(), context_.dtype);
  if (context_.channels_last) made->channels_last();
  return made;
}

Net System::net(const std::string& name, const Factory& factory) {
  const Net net = net_of(name, make(name, factory), context_);
  nets_.emplace_back(net, factory);
  return net;
}

Player& System::add_player(const std::string& name, const std::vector<Net>& nets) {
  Named parameters;
  std::vector<std::string> names;
  for (const Net& net : nets) {
    names.push_back(net.name);
    for (const auto& named : net.parameters(/*raw=*/true)) parameters.push_back(named);
  }
  players_.push_back(std::shared_ptr<Player>(new Player{
      name, names, Replica(context_.comm, parameters, context_.reduction, name), nullptr, {}, {}}));
  if (context_.arithmetic == torch::kHalf) players_.back()->loss_scale.emplace(context_.comm.device());
  return *players_.back();
}

Net System::frozen(const std::string& name, const Factory& factory, const std::string& file) {
  Net net = net_of(name, make(name, factory), context_);
  const at::NoGradGuard no_grad;
  const std::map<std::string, torch::Tensor> saved = read_safetensors(file);
  for (const Named& list : {net.live->parameters(), net.live->buffers()})
    for (const auto& [key, tensor] : list) {
      const auto found = saved.find(key);
      require(found != saved.end() && found->second.sizes() == tensor.sizes(), Exit::data,
              "'{}' for the net {}: expected {} of {}, found {}", file, name, key, c10::str(tensor.sizes()),
              found == saved.end() ? "none" : c10::str(found->second.sizes()));
      torch::Tensor(tensor).copy_(found->second);
    }
  net.live->freeze();
  net.live->train(false);
  frozen_.push_back({name, static_cast<int64_t>(std::stoull(hash_file(file).substr(0, 15), nullptr, 16))});
  return net;
}

std::shared_ptr<Network> System::follow(const Net& net, const std::string& state, const Shadow& how) {
  const auto made = std::find_if(nets_.begin(), nets_.end(),
                                 [&](const auto& known) { return known.first.live == net.live; });
  require(made != nets_.end(), Exit::bug, "net '{}' is not of this system", net.name);
  std::shared_ptr<Network> copy = make(net.name, made->second);
  copy->train(false);
  for (const auto& [name, tensor] : copy->parameters()) torch::Tensor(tensor).set_requires_grad(false);
  followers_.push_back({state, net.name, net.live, copy, how});
  return copy;
}

void System::average(Net& net, const Shadow& how) {
  net.average = follow(net, "average." + net.name, how);
  for (auto& [known, factory] : nets_)
    if (known.live == net.live) known.average = net.average;
}

Net System::shadow(const Net& net, const std::string& name, const Shadow& how) {
  Net made = net;
  made.name = name;
  made.live = follow(net, "shadow." + name, how);
  made.average = nullptr;
  return made;
}

void System::update(Follower& follower) const {
  const int64_t step = follower.updates++;
  const double t = static_cast<double>(step);
  const Shadow& how = follower.how;
  double keep = std::min(how.decay, (1 + t) / (10 + t));
  if (how.half_life > 0) {
    const double batch = static_cast<double>(context_.part * context_.parts);
    double half_life = how.ramp > 0 ? std::min(how.half_life, how.ramp * t * batch) : how.half_life;
    if (!how.schedule.constant()) half_life = how.schedule.at(0, half_life, step, context_.steps);
    keep = std::pow(0.5, batch / std::max(half_life, 1e-8));
  }
  const Named from = follower.live->parameters(), to = follower.copy->parameters();
  for (size_t i = 0; i < to.size(); ++i) torch::Tensor(to[i].second).lerp_(from[i].second, 1 - keep);
  const Named live_buffers = follower.live->buffers(), copied = follower.copy->buffers();
  for (size_t i = 0; i < copied.size(); ++i) torch::Tensor(copied[i].second).copy_(live_buffers[i].second);
}

void System::begin_step(int64_t step) {
  for (const auto& player : players_) player->optimizer->begin_step(step, context_.steps);
}

std::vector<std::pair<std::string, double>> System::learning_rates() const {
  std::vector<std::pair<std::string, double>> rates;
  for (const auto& player : players_) rates.emplace_back(player->name, player->optimizer->rate());
  return rates;
}

void System::end_step() {
  const at::NoGradGuard no_grad;
  for (Follower& follower : followers_) update(follower);
}

void System::phase(Phase phase) {
  require(phase.loss || phase.work, Exit::bug, "the phase '{}' has neither a loss nor work", phase.name);
  require(!phase.loss || !phase.players.empty(), Exit::bug,
          "the phase '{}' has a loss and no player to minimise it", phase.name);
  phases_.push_back(std::move(phase));
}

torch::Tensor System::keep(const std::string& name, const torch::Tensor& initial, const std::string& owner) {
  auto value = std::make_shared<torch::Tensor>(initial.to(context_.comm.device()).clone());
  kept_.push_back({name, owner, value, /*rows=*/false});
  return *value;
}

std::shared_ptr<torch::Tensor> System::keep_rows(const std::string& name, const torch::Tensor& initial,
                                                 const std::string& owner) {
  auto value = std::make_shared<torch::Tensor>(initial.to(context_.comm.device()).clone());
  kept_.push_back({name, owner, value, /*rows=*/true});
  return value;
}

int64_t System::classes() const {
  const auto label = std::find_if(given.begin(), given.end(),
                                  [](const Field& field) { return kind_of(field) == Kind::label; });
  return label == given.end() ? 0 : label->classes;
}

Batch System::draw(Sampling& sampling) {
  const at::NoGradGuard no_grad;
  std::vector<std::shared_ptr<Network>> live;
  for (const auto& [net, factory] : nets_) live.push_back(net.live);
  const Evaluating evaluating(live);
  return sample(sampling);
}

void System::only(const std::vector<Player*>& players) {
  for (const auto& other : players_)
    other->replica.learn(std::find(players.begin(), players.end(), other.get()) != players.end());
}

void System::visit(StateVisitor& visitor) {
  std::set<std::string> all;
  for (const auto& [net, factory] : nets_) all.insert(net.name);
  visit(visitor, all);
}

void System::visit(StateVisitor& visitor, const std::set<std::string>& nets) {
  const auto show = [](StateVisitor& scope, const Named& tensors) {
    for (auto [name, tensor] : tensors) scope.tensor(name, tensor);
  };
  for (const auto& player : players_) {
    if (!nets.contains(player->nets.front())) continue;
    player->replica.visit(visitor);
    Scope optimizer(visitor, "optimizer." + player->name);
    player->optimizer->visit(optimizer);
    if (!player->loss_scale) continue;
    Scope loss_scale(visitor, "loss_scale." + player->name);
    player->loss_scale->visit(loss_scale);
  }
  for (const auto& [net, factory] : nets_) {
    if (!nets.contains(net.name)) continue;
    Scope scope(visitor, net.name);
    show(scope, net.live->buffers());
  }
  for (Follower& follower : followers_) {
    if (!nets.contains(follower.net)) continue;
    Scope scope(visitor, follower.state);
    show(scope, follower.copy->parameters());
    show(scope, follower.copy->buffers());
    scope.number("updates", follower.updates);
  }
  for (const Kept& kept : kept_) {
    if (kept.owner.empty() ? nets.size() < nets_.size() : !nets.contains(kept.owner)) continue;
    Scope scope(visitor, "keep");
    kept.rows ? scope.list(kept.name, *kept.value) : scope.tensor(kept.name, *kept.value);
  }
  for (const Frozen& frozen : frozen_) {
    Scope scope(visitor, "frozen");
    int64_t hash = frozen.hash;
    scope.number(frozen.name, hash);
    require(
        hash == frozen.hash, Exit::data,
        "the frozen net {} is made from another file than this checkpoint was trained with: pass that file",
        frozen.name);
  }
}

std::set<std::string> System::generator() {
  Sampling one(
      {.purpose = "generator", .samples = {0, 1}, .device = context_.comm.device(), .dtype = context_.dtype},
      zero_rows(given, 1, context_.comm.device(), context_.dtype), /*raw=*/false);
  draw(one);
  std::set<std::string> nets = one.nets;
  for (const auto& player : players_)
    if (std::any_of(player->nets.begin(), player->nets.end(),
                    [&](const auto& net) { return one.nets.contains(net); }))
      nets.insert(player->nets.begin(), player->nets.end());
  return nets;
}

std::optional<Net> System::find(const std::string& name) const {
  for (const auto& [net, factory] : nets_)
    if (net.name == name) return net;
  return std::nullopt;
}

std::string System::summary() const {
  std::string text;
  for (const auto& [net, factory] : nets_) {
    int64_t count = 0;
    for (const auto& [name, tensor] : net.live->parameters()) count += tensor.numel();
    text += fmt::format("{}{} {} parameters", text.empty() ? "" : ", ", net.name, count);
  }
  return text;
}

}  // namespace saddle
