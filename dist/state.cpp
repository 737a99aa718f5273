#include "dist/state.h"

#include <xxhash.h>

#include <cmath>
#include <cstdlib>

#include "dist/error.h"
#include "dist/json.h"

namespace saddle {
namespace {

struct Collector final : StateVisitor {
  State state;
  void tensor(const std::string& name, torch::Tensor& value) override {
    add(state.tensors, name, value.detach());
  }
  void number(const std::string& name, int64_t& value) override { add(state.numbers, name, value); }
  void number(const std::string& name, double& value) override {
    if (std::isfinite(value))
      add(state.numbers, name, value);
    else
      add(state.numbers, name, fmt::format("{}", value));  // JSON has no such numbers
  }

  template <class Map, class Value>
  static void add(Map& map, const std::string& name, const Value& value) {
    require(map.emplace(name, value).second, Exit::bug, "state '{}' is visited twice", name);
  }
};

struct Restorer final : StateVisitor {
  explicit Restorer(const State& state) : state(state) {}
  const State& state;
  size_t seen = 0;

  void tensor(const std::string& name, torch::Tensor& value) override {
    const torch::Tensor& saved = find(state.tensors, name);
    require_alike(name, saved, value, saved.sizes() == value.sizes());
    at::NoGradGuard no_grad;
    value.copy_(saved);
  }
  void list(const std::string& name, torch::Tensor& value) override {
    const torch::Tensor& saved = find(state.tensors, name);
    require_alike(
        name, saved, value,
        saved.dim() > 0 && saved.dim() == value.dim() && saved.sizes().slice(1) == value.sizes().slice(1));
    value = saved.to(value.options(), /*non_blocking=*/false, /*copy=*/true);
  }
  void number(const std::string& name, int64_t& value) override { value = as<int64_t>(name, integer); }
  void number(const std::string& name, double& value) override { value = as<double>(name, number); }

  template <class Number>
  Number as(const std::string& name, Number (*read)(const nlohmann::json&)) {
    const nlohmann::json& saved = find(state.numbers, name);
    try {
      return read(saved);
    } catch (const Error& error) {
      fail(error.kind, "checkpoint holds '{}' as another kind of number: {}", name, error.what());
    }
  }
  // JSON has no infinity, nor what is no number: those are texts.
  static double number(const nlohmann::json& saved) {
    if (!saved.is_string()) return saddle::number(saved);
    const std::string& text = saved.get_ref<const std::string&>();
    char* end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    require(!text.empty() && *end == '\0', Exit::data, "expected a number, found {}", excerpt(saved));
    return value;
  }

  static void require_alike(const std::string& name, const torch::Tensor& saved, const torch::Tensor& value,
                            bool fits) {
    require(fits && saved.scalar_type() == value.scalar_type(), Exit::data,
            "checkpoint holds '{}' as {} {}, this run needs {} {}: resume with the options the run was "
            "started with",
            name, c10::str(saved.sizes()), c10::toString(saved.scalar_type()), c10::str(value.sizes()),
            c10::toString(value.scalar_type()));
  }

  template <class Map>
  const typename Map::mapped_type& find(const Map& map, const std::string& name) {
    auto found = map.find(name);
    require(found != map.end(), Exit::data,
            "checkpoint has no '{}', which this run needs: resume with the system and options the run was "
            "started with",
            name);
    ++seen;
    return found->second;
  }
};

struct Digester final : StateVisitor {
  std::vector<Item> items;

  void tensor(const std::string& name, torch::Tensor& value) override {
    const torch::Tensor host = value.detach().cpu().contiguous();
    items.push_back({name, XXH3_64bits(host.data_ptr(), host.nbytes())});
  }
  void number(const std::string& name, int64_t& value) override {
    items.push_back({name, XXH3_64bits(&value, sizeof value)});
  }
  void number(const std::string& name, double& value) override {
    items.push_back({name, XXH3_64bits(&value, sizeof value)});
  }
};

}  // namespace

State collect(const Visit& visit) {
  Collector collector;
  visit(collector);
  return std::move(collector.state);
}

void restore(const Visit& visit, const State& state) {
  Restorer restorer(state);
  visit(restorer);
  const size_t saved = state.tensors.size() + state.numbers.size();
  require(restorer.seen == saved, Exit::data,
          "checkpoint holds {} items of state, this run knows {} of them: {}", saved, restorer.seen,
          "resume with the system and options the run was started with");
}

std::vector<Item> digests(const Visit& visit) {
  Digester digester;
  visit(digester);
  return std::move(digester.items);
}

uint64_t digest(const Visit& visit) {
  std::vector<uint64_t> words;
  for (const Item& item : digests(visit)) words.push_back(item.digest);
  return XXH3_64bits(words.data(), words.size() * sizeof(uint64_t));
}

}  // namespace saddle
