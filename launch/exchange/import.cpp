// saddle import.
#include "launch/exchange/import.h"

#include <set>

#include "dist/error.h"
#include "dist/file.h"
#include "dist/log.h"
#include "dist/safetensors.h"
#include "dist/utf8.h"
#include "launch/commands.h"
#include "launch/run/load_run.h"
#include "launch/run/run_folder.h"

namespace saddle {
namespace {

using Tensors = std::map<std::string, torch::Tensor>;

std::string shown(const std::string& name, const torch::Tensor& tensor) {
  return fmt::format("\n  {} {}", name, c10::str(tensor.sizes()));
}

std::string net_of(const std::string& name) {
  return name.substr(0, name.find('.'));
}

std::string layer_of(const std::string& name) {
  return name.substr(0, name.rfind('.'));
}

Tensors tensors_of(const System& system, bool raw) {
  Tensors all;
  for (const Net& net : system.nets())
    for (const Named& list : {net.parameters(raw), net.buffers(raw)}) all.insert(list.begin(), list.end());
  return all;
}

// Theirs under our names and in our layout.
struct Placed {
  Tensors tensors;
  std::string misfits;  // a line each
};

bool is_dropped(const std::string& name, const NameMap& map) {
  return map.of(name).name.empty() || name.ends_with(".num_batches_tracked");
}

Placed place(const Tensors& theirs, const Tensors& ours, const NameMap& map) {
  Placed placed;
  for (const auto& [name, tensor] : theirs) {
    if (is_dropped(name, map)) continue;
    const Placement placement = map.of(name);
    const torch::Tensor here = placement.apply(tensor);
    const auto target = ours.find(placement.name);
    const std::string arrow = placement.name == name ? "" : " -> " + placement.name;
    if (target == ours.end())
      placed.misfits += shown(name, tensor) + arrow + ": no such tensor here";
    else if (here.sizes() != target->second.sizes())
      placed.misfits += shown(name, tensor) + arrow + ": is " + c10::str(target->second.sizes()) + " here" +
                        (here.numel() == target->second.numel() ? "; as \"... flatten transpose\"?" : "");
    else if (!placed.tensors.emplace(placement.name, here).second)
      placed.misfits += shown(name, tensor) + arrow + ": another tensor goes there too";
  }
  return placed;
}

// Adds zeros for the biases that may be missing; names what may not.
std::string complete(Placed& placed, const Tensors& ours, Imported& result) {
  std::set<std::string> nets, layers;
  for (const auto& [name, tensor] : placed.tensors) {
    nets.insert(net_of(name));
    layers.insert(layer_of(name));
  }
  result.nets.assign(nets.begin(), nets.end());
  std::string missing;
  for (const auto& [name, tensor] : ours) {
    if (!nets.contains(net_of(name)) || placed.tensors.contains(name)) continue;
    if (name.ends_with(".bias") && layers.contains(layer_of(name))) {
      placed.tensors[name] = torch::zeros_like(tensor);
      result.zeroed.push_back(name);
    } else {
      missing += shown(name, tensor);
    }
  }
  return missing;
}

void copy(const Tensors& from, const Tensors& to) {
  const at::NoGradGuard no_grad;
  for (const auto& [name, tensor] : from) torch::Tensor(to.at(name)).copy_(tensor);
}

std::string listed(const Tensors& tensors) {
  std::string text;
  for (const auto& [name, tensor] : tensors) text += shown(name, tensor);
  return text;
}

struct ImportFlags {
  std::string file, recipe, data, shape, out;
  std::vector<std::string> map, sets;
  int64_t classes = 0;
};

Schema schema_of_shape(const ImportFlags& flags) {
  const std::vector<int64_t> shape = parse_shape(flags.shape, "--shape");
  const bool image = shape.size() == 3;
  Schema schema{{{.name = image ? "image" : "x",
                  .shape = shape,
                  .dtype = image ? torch::kByte : torch::kFloat,
                  .classes = 0,
                  .class_names = {}}}};
  if (flags.classes > 0)
    schema.fields.push_back(
        {.name = "label", .shape = {}, .dtype = torch::kLong, .classes = flags.classes, .class_names = {}});
  return schema;
}

void import_run(const ImportFlags& flags) {
  require(flags.data.empty() != flags.shape.empty(), Exit::usage,
          "the nets need the shape of what they draw: pass --data DIR, a folder made by `saddle pack`, or "
          "--shape 3x64x64");
  Run run;
  std::vector<std::string> sets = flags.sets;
  if (!flags.data.empty()) sets.push_back("data=" + data_text({flags.data}));
  run.resolve(find_recipe(flags.recipe), fmt::format("recipe '{}'", flags.recipe), sets);
  const auto data = flags.data.empty() ? nullptr : open_data(run.options.data);
  const Schema schema = data ? data->schema() : schema_of_shape(flags);
  const Comm alone = World::alone();
  System system = run.build(schema, run.context(alone));
  const NameMap map(flags.map);
  const auto keep = [&](const std::string& name) { return !is_dropped(name, map); };
  const Imported taken = import_weights(system, read_safetensors(flags.file, keep), map);

  RunFolder folder(flags.out);
  folder.create(/*resume=*/false);
  folder.save_options(run);
  int64_t step = 0, position = 0;
  nlohmann::json facts = about(run, schema, data ? data->fingerprint() : "");
  facts["imported"] = {
      {"file", escape_bytes(flags.file)}, {"xxh3_128", hash_file(flags.file)}, {"tensors", taken.tensors}};
  save_checkpoint(
      alone, folder.checkpoints(),
      {.step = step,
       .state = collect([&](StateVisitor& visitor) { visit_run(visitor, step, position, system); }),
       .about = facts,
       .folder = {}},
      {.newest = 1});
  log::info("{} tensors of '{}' in net {} of {}, run folder '{}'", taken.tensors, flags.file,
            fmt::join(taken.nets, ", "), run.options.system, flags.out);
  if (!taken.zeroed.empty()) log::info("not in the file, hence 0: {}", fmt::join(taken.zeroed, ", "));
  for (const Net& net : system.nets())
    if (std::find(taken.nets.begin(), taken.nets.end(), net.name) == taken.nets.end())
      log::info("not in the file, hence as at the start of a training: net {}", net.name);
}

}  // namespace

Imported import_weights(System& system, const Tensors& theirs, const NameMap& map) {
  Imported result;
  const Tensors ours = tensors_of(system, /*raw=*/true), averages = tensors_of(system, /*raw=*/false);
  Placed placed = place(theirs, ours, map);
  result.tensors = static_cast<int64_t>(placed.tensors.size());
  const std::string missing = complete(placed, ours, result);
  require(placed.misfits.empty() && missing.empty() && result.tensors > 0, Exit::usage,
          "the names do not fit: pass --map, lines of TOML such as \"main.0.weight\" = \"G.project.weight "
          "flatten "
          "transpose\"\n  in the file without a place:{}\n  here without a tensor:{}",
          placed.misfits.empty() ? "\n  none" : placed.misfits,
          result.tensors == 0 ? listed(ours)
          : missing.empty()   ? "\n  none"
                              : missing);
  copy(placed.tensors, ours);
  copy(placed.tensors, averages);
  return result;
}

void add_import(CLI::App& app, Command& chosen) {
  auto flags = std::make_shared<ImportFlags>();
  CLI::App* sub = app.add_subcommand(
      "import", "Make a run folder from weights of a PyTorch model: for sample, evaluate, train --init-from");
  sub->add_option("file", flags->file, "safetensors of the model's state_dict, or what `saddle export` wrote")
      ->required();
  sub->add_option("--recipe", flags->recipe, "Recipe of the same nets: a TOML file or a built-in name")
      ->required();
  sub->add_option("--set", flags->sets, "key=value, overriding the recipe; repeatable")->take_all();
  sub->add_option(
         "--map", flags->map,
         "TOML file of lines \"theirs\" = \"ours [flatten] [transpose]\", or theirs=ours; repeatable; * "
         "stands for any text, \"\" leaves a tensor out")
      ->take_all();
  sub->add_option("--data", flags->data, "Data set of the samples' kind");
  sub->add_option("--shape", flags->shape, "Instead: of a sample, such as 3x64x64, or 2 for points");
  sub->add_option("--classes", flags->classes, "With --shape: number of labels")
      ->check(CLI::NonNegativeNumber);
  sub->add_option("--out", flags->out, "Run folder to make")->required();
  sub->callback([flags, &chosen] {
    chosen = [flags](World& world) {
      const Comm host = world.comm("cpu");
      host.together([&] {
        if (host.rank() == 0) import_run(*flags);
      });
      return 0;
    };
  });
}

}  // namespace saddle
