#include "models/system.h"

#include <algorithm>

#include "dist/error.h"

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

torch::Tensor Net::operator()(const torch::Tensor& x, const torch::Tensor& y) const {
  const torch::Tensor in = channels_last && x.dim() == 4 ? x.contiguous(at::MemoryFormat::ChannelsLast) : x;
  if (arithmetic == dtype) return live->forward(in, y);
  const Autocast scope(x.device(), arithmetic);
  return live->forward(in, y).to(dtype);
}

namespace {

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
  Net net{.name = name,
          .live = make(name, factory),
          .average = nullptr,
          .dtype = context_.dtype,
          .arithmetic = context_.arithmetic,
          .channels_last = context_.channels_last};
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

void System::average(Net& net, Player& player, double decay) {
  const auto made = std::find_if(nets_.begin(), nets_.end(),
                                 [&](const auto& known) { return known.first.live == net.live; });
  require(made != nets_.end(), Exit::bug, "net '{}' is not of this system", net.name);
  net.average = make(net.name, made->second);
  net.average->train(false);
  made->first.average = net.average;
  auto average = std::make_shared<Average>(Average{net.name, net.live, net.average});
  for (const auto& [name, tensor] : average->shadow->parameters())
    torch::Tensor(tensor).set_requires_grad(false);
  averages_.push_back(average);
  player.after_step.push_back([average, decay] { average->update(decay); });
}

void System::Average::update(double decay) {
  at::NoGradGuard no_grad;
  const double t = static_cast<double>(updates++);
  const double keep = std::min(decay, (1 + t) / (10 + t));
  const Named from = live->parameters(), to = shadow->parameters();
  for (size_t i = 0; i < to.size(); ++i) torch::Tensor(to[i].second).lerp_(from[i].second, 1 - keep);
  const Named live_buffers = live->buffers(), shadow_buffers = shadow->buffers();
  for (size_t i = 0; i < shadow_buffers.size(); ++i)
    torch::Tensor(shadow_buffers[i].second).copy_(live_buffers[i].second);
}

Batch System::draw(Sampling& sampling) {
  at::NoGradGuard no_grad;
  for (auto& [net, factory] : nets_) net.live->train(false);
  Batch samples = sample(sampling);
  for (auto& [net, factory] : nets_) net.live->train(true);
  return samples;
}

void System::only(const Player& player) {
  for (const auto& other : players_) other->replica.learn(other.get() == &player);
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
  for (const auto& average : averages_) {
    if (!nets.contains(average->net)) continue;
    Scope scope(visitor, "average." + average->net);
    show(scope, average->shadow->parameters());
    show(scope, average->shadow->buffers());
    scope.number("updates", average->updates);
  }
}

std::set<std::string> System::generator() {
  Sampling one(
      {.purpose = "generator", .samples = {0, 1}, .device = context_.comm.device(), .dtype = context_.dtype},
      classes > 0 ? torch::zeros({1}, torch::dtype(torch::kLong).device(context_.comm.device()))
                  : torch::Tensor(),
      /*raw=*/false);
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
