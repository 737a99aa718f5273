#include "launch/train/init_from.h"

#include <filesystem>
#include <set>

#include "dist/error.h"
#include "dist/file.h"
#include "dist/log.h"
#include "dist/safetensors.h"
#include "dist/utf8.h"
#include "launch/run/choose_step.h"
#include "launch/run/run_folder.h"

namespace saddle {
namespace {

using nlohmann::json;

constexpr std::string_view kAverage = "average.";

struct Source {
  State state;
  json about;  // what is recorded of it
};

Source open(const Comm& host, const std::string& path, const std::string& step) {
  Source source;
  const bool file = std::filesystem::is_regular_file(path);
  host.together([&] {
    require(file || std::filesystem::is_directory(path), Exit::usage,
            "--init-from '{}': expected a run folder or a safetensors file", path);
    require(!file || step.empty(), Exit::usage, "--init-from-step {}: '{}' is no run folder but one file",
            step, path);
    if (!file) return;
    source.state.tensors = read_safetensors(path);
    source.about = {{"source", escape_bytes(path)}, {"xxh3_128", hash_file(path)}};
  });
  if (file) return source;
  auto checkpoint = load_chosen(host, RunFolder(path).checkpoints(), step);
  host.together([&] {
    require(
        checkpoint.has_value(), Exit::usage,
        "--init-from '{}': there is no checkpoint in it: expected a run folder; --init-from-step chooses one "
        "of its checkpoints",
        path);
    source.state = std::move(checkpoint->state);
    source.about = {{"source", escape_bytes(checkpoint->folder)}, {"step", checkpoint->step}};
  });
  return source;
}

// Copies what fits into the tensors of nets and passes over all other state.
struct Taker final : StateVisitor {
  Taker(const System& system, const State& source) : source(source) {
    for (const Net& net : system.nets()) nets.insert(net.name);
  }
  const State& source;
  std::set<std::string> nets, used, reached;
  std::vector<std::pair<std::string, std::string>> left;  // of this run: net, tensor and reason
  int64_t taken = 0;

  static std::string net_of(std::string name) {
    if (name.starts_with(kAverage)) name.erase(0, kAverage.size());
    return name.substr(0, name.find('.'));
  }
  bool of_a_net(const std::string& name) const { return nets.contains(net_of(name)); }

  // The source's, or for an average without one there its live tensor.
  auto find(const std::string& name) const {
    const auto found = source.tensors.find(name);
    return found == source.tensors.end() && name.starts_with(kAverage)
               ? source.tensors.find(name.substr(kAverage.size()))
               : found;
  }

  void tensor(const std::string& name, torch::Tensor& value) override {
    if (!of_a_net(name)) return;
    const auto found = find(name);
    if (found == source.tensors.end()) {
      left.emplace_back(net_of(name), name + ", which is not there");
    } else if (found->second.sizes() != value.sizes()) {
      used.insert(found->first);
      left.emplace_back(net_of(name), fmt::format("{}, {} here and {} there", name, c10::str(value.sizes()),
                                                  c10::str(found->second.sizes())));
    } else {
      const at::NoGradGuard no_grad;
      value.copy_(found->second);
      used.insert(found->first);
      reached.insert(net_of(name));
      ++taken;
    }
  }

  void number(const std::string& name, int64_t& value) override { take_number(name, value); }
  void number(const std::string& name, double& value) override { take_number(name, value); }
  template <class Number>
  void take_number(const std::string& name, Number& value) {
    const auto found = source.numbers.find(name);
    if (of_a_net(name) && found != source.numbers.end()) value = found->second.get<Number>();
  }

  // What was not taken, a net of which nothing was in one line.
  std::vector<std::string> not_taken() const {
    std::vector<std::string> lines;
    for (const std::string& net : nets)
      if (!reached.contains(net)) lines.push_back("net " + net + " as a whole");
    for (const auto& [net, line] : left)
      if (reached.contains(net)) lines.push_back(line);
    return lines;
  }

  // Weights of the source that have no place here.
  std::vector<std::string> unused() const {
    std::vector<std::string> names;
    for (const auto& [name, tensor] : source.tensors)
      if (!used.contains(name) && !name.starts_with("optimizer.") && !name.starts_with("loss_scale."))
        names.push_back(name);
    return names;
  }
};

std::string listed(const std::vector<std::string>& lines) {
  constexpr size_t kShown = 12;
  std::string text;
  for (size_t i = 0; i < std::min(kShown, lines.size()); ++i) text += "\n  " + lines[i];
  if (lines.size() > kShown) text += fmt::format("\n  and {} more", lines.size() - kShown);
  return text;
}

}  // namespace

json init_from(const Comm& host, System& system, const std::string& path, const std::string& step) {
  Source source = open(host, path, step);
  Taker taker(system, source.state);
  host.together([&] {
    system.visit(taker);
    require(taker.taken > 0, Exit::usage,
            "--init-from '{}': no tensor has a name and shape of this run's nets; it has{}\n  for another "
            "program's "
            "model there is `saddle import`",
            path, listed(taker.unused()));
  });
  log::info("from '{}': {} tensors taken, optimizers start anew", path, taker.taken);
  if (!taker.left.empty()) log::info("not taken:{}", listed(taker.not_taken()));
  if (const auto unused = taker.unused(); !unused.empty())
    log::info("in '{}' without a place here:{}", path, listed(unused));
  source.about["taken"] = taker.taken;
  source.about["not_taken"] = taker.left.size();
  return source.about;
}

}  // namespace saddle
