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

const std::vector<SystemEntry>& systems() {
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
  fail(Exit::usage, "unknown system '{}': did you mean '{}'? `saddle list systems` names them all", name,
       nearest(name, names));
}

Net System::net(const std::string& name, const Factory& factory) {
  Maker make(context_.comm, Stream(context_.seed, "init/" + name).key);
  Net net{name, factory(make), nullptr};
  net.live->to(context_.comm.device(), context_.dtype);
  nets_.emplace_back(net, factory);
  return net;
}

Player& System::add_player(const std::string& name, const std::vector<Net>& nets) {
  Named parameters;
  for (const Net& net : nets)
    for (const auto& [parameter, tensor] : net.live->parameters())
      parameters.emplace_back(net.name + "." + parameter, tensor);
  players_.push_back(
      std::shared_ptr<Player>(new Player{name, Replica(context_.comm, parameters), nullptr, {}}));
  return *players_.back();
}

void System::average(Net& net, Player& player, double decay) {
  const auto made = std::find_if(nets_.begin(), nets_.end(),
                                 [&](const auto& known) { return known.first.live == net.live; });
  require(made != nets_.end(), Exit::bug, "net '{}' is not of this system", net.name);
  Maker make(context_.comm, Stream(context_.seed, "init/" + net.name).key);
  net.average = made->second(make);
  net.average->to(context_.comm.device(), context_.dtype);
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
  const auto show = [](StateVisitor& scope, const Named& tensors) {
    for (auto [name, tensor] : tensors) scope.tensor(name, tensor);
  };
  for (const auto& player : players_) {
    player->replica.visit(visitor);
    Scope optimizer(visitor, "optimizer." + player->name);
    player->optimizer->visit(optimizer);
  }
  for (const auto& [net, factory] : nets_) {
    Scope scope(visitor, net.name);
    show(scope, net.live->buffers());
  }
  for (const auto& average : averages_) {
    Scope scope(visitor, "average." + average->net);
    show(scope, average->shadow->parameters());
    show(scope, average->shadow->buffers());
    scope.number("updates", average->updates);
  }
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
