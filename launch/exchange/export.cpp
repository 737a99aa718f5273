// saddle export.
#include "launch/exchange/export.h"

#include "data/feed/loader.h"
#include "data/view/kind.h"
#include "dist/error.h"
#include "dist/file.h"
#include "dist/json.h"
#include "dist/log.h"
#include "dist/random.h"
#include "dist/safetensors.h"
#include "launch/commands.h"
#include "launch/evaluate/preview.h"
#include "launch/exchange/torchscript.h"
#include "launch/flags.h"
#include "models/evaluating.h"

namespace saddle {
namespace {

using nlohmann::json;
using Kind = Tape::Request::Kind;

// One input of the exported function.
struct Argument {
  std::string name;
  Kind kind;
  std::vector<int64_t> shape;  // of a sample
  int64_t classes = 0;         // of labels
};

// What is exported: nets, a function, and what goes in and comes out.
struct Target {
  std::vector<Net> nets;
  std::vector<Argument> inputs;
  std::string output;
  std::vector<int64_t> output_shape;  // of a sample; of one net by itself it is not known
  TensorFunction run;
};

Sampling sampling_of(const System& system, Range samples, Batch given, bool raw,
                     std::function<torch::Tensor(at::IntArrayRef)> replay = {}) {
  return {
      {.purpose = "export", .samples = samples, .dtype = system.context().dtype, .replay = std::move(replay)},
      std::move(given),
      raw};
}

// What samples are made of, beside latents: labels as "y", others by their names.
Argument given_of(const Field& field) {
  if (kind_of(field) == saddle::Kind::label)
    return {.name = "y", .kind = Kind::integers, .shape = {}, .classes = field.classes};
  return {.name = field.name, .kind = Kind::uniform, .shape = field.shape};
}

torch::Tensor example(const Argument& input, int64_t count, torch::ScalarType dtype) {
  const Stream stream(0, "export " + input.name);
  const Range range{0, count};
  if (input.kind == Kind::integers) return integers(stream, range, input.classes);
  return (input.kind == Kind::normal ? normal : uniform)(stream, range, input.shape, dtype);
}

std::vector<torch::Tensor> examples(const Target& target, int64_t count, torch::ScalarType dtype) {
  std::vector<torch::Tensor> all;
  for (const Argument& input : target.inputs) all.push_back(example(input, count, dtype));
  return all;
}

// The system's own sampling, handed its latents.
TensorFunction sampler(System& system, bool raw) {
  return [&system, raw](const std::vector<torch::Tensor>& inputs) {
    size_t next = 0;
    const size_t first_given = inputs.size() - system.given.size();
    Batch given;
    for (size_t i = 0; i < system.given.size(); ++i) given.set(system.given[i].name, inputs[first_given + i]);
    Sampling sampling = sampling_of(system, {0, inputs[0].size(0)}, std::move(given), raw,
                                    [&](at::IntArrayRef) { return inputs.at(next++); });
    return (*system.draw(sampling).begin()).second;
  };
}

TensorFunction one_net(const Net& net, bool raw) {
  return [net, raw](const std::vector<torch::Tensor>& inputs) {
    const at::NoGradGuard no_grad;
    const Evaluating evaluating({raw || !net.average ? net.live : net.average});
    return net.run(net.shown(raw), {inputs[0], inputs.size() > 1 ? inputs[1] : torch::Tensor()}).x;
  };
}

std::vector<Net> chosen_nets(const System& system, const std::vector<std::string>& names) {
  std::vector<Net> nets;
  std::vector<std::string> known;
  for (const Net& net : system.nets()) known.push_back(net.name);
  for (const std::string& name : names) {
    const std::optional<Net> net = system.find(name);
    require(net.has_value(), Exit::usage, "--net {}: this system has the nets {}", name,
            fmt::join(known, ", "));
    nets.push_back(*net);
  }
  return nets;
}

Target target_of(LoadedRun& run, const ExportOptions& options) {
  System& system = *run.system;
  Sampling probe = sampling_of(
      system, {0, 2}, zero_rows(system.given, 2, system.context().comm.device(), system.context().dtype),
      options.raw);
  Batch samples;
  const Tape tape = probe.record([&] { samples = system.draw(probe); });
  const auto& [field, image] = *samples.begin();
  const std::vector<std::string> sampled(probe.nets.begin(), probe.nets.end());
  const std::vector<std::string>& names = options.nets.empty() ? sampled : options.nets;
  Target target{
      .nets = chosen_nets(system, names), .inputs = {}, .output = field, .output_shape = {}, .run = {}};
  if (names == sampled) {
    for (size_t i = 0; i < tape.entries.size(); ++i)
      target.inputs.push_back({input_name(i), tape.entries[i].request.kind, tape.entries[i].request.shape});
    target.output_shape = image.sizes().slice(1).vec();
    target.run = sampler(system, options.raw);
  } else {
    target.inputs.push_back({field, Kind::uniform, image.sizes().slice(1).vec()});
    target.output = "output";
    target.run = one_net(target.nets.front(), options.raw);
  }
  for (const Field& field : system.given)
    if (names == sampled || given_of(field).kind == Kind::integers) target.inputs.push_back(given_of(field));
  return target;
}

json with_batch(const std::vector<int64_t>& shape) {
  json sizes = {"N"};
  for (const int64_t size : shape) sizes.push_back(size);
  return sizes;
}

json describe_input(const Argument& input, torch::ScalarType dtype) {
  json is = {{"name", input.name}, {"shape", with_batch(input.shape)}};
  is["dtype"] = input.kind == Kind::integers ? "int64" : dtype == torch::kDouble ? "float64" : "float32";
  if (input.kind == Kind::integers) is["classes"] = input.classes;
  if (input.kind == Kind::normal) is["distribution"] = "normal, mean 0, standard deviation 1";
  return is;
}

// How a field of the data looks to a net.
json describe_field(const Schema& schema, const std::string& name, const std::vector<int64_t>& shape) {
  json is = {{"name", name}, {"shape", with_batch(shape)}};
  if (!schema.has(name)) return is;
  const torch::ScalarType stored = schema[name].dtype;
  if (shape.size() == 3) is["layout"] = "NCHW";
  if (stored == torch::kByte) is["range"] = {-1, 1}, is["pixels"] = "round((x + 1) * 127.5)";
  if (stored == torch::kUInt16) is["range"] = {-1, 1}, is["pixels"] = "round((x + 1) * 32767.5)";
  return is;
}

json typed_options(const Run& run) {
  json options = json::object();
  for (const auto& option : run.table.options())
    options[option.key] = std::visit([](const auto* value) { return json(*value); }, option.value);
  return options;
}

json describe(LoadedRun& run, const Target& target, bool raw) {
  const Schema schema = run.schema();
  const torch::ScalarType dtype = run.system->context().dtype;
  json nets = json::array(), inputs = json::array();
  bool averaged = false;
  for (const Net& net : target.nets) {
    nets.push_back(net.name);
    averaged = averaged || &net.shown(raw) != net.live.get();
  }
  for (const Argument& input : target.inputs)
    inputs.push_back(schema.has(input.name) ? describe_field(schema, input.name, input.shape)
                                            : describe_input(input, dtype));
  return {
      {"format", "saddle export 1"},
      {"system", run.run.options.system},
      {"step", run.step},
      {"nets", nets},
      {"weights", averaged ? "average" : "raw"},
      {"inputs", inputs},
      {"output", target.output_shape.empty() ? json{{"name", target.output}}
                                             : describe_field(schema, target.output, target.output_shape)},
      {"options", typed_options(run.run)},
      {"data", value_at(run.about, "data")},
      {"schema", value_at(run.about, "schema")},
      {"versions", value_at(run.about, "versions")}};
}

Weights weights_of(const Target& target, bool raw) {
  Weights weights;
  for (const Net& net : target.nets) {
    for (const auto& named : net.parameters(raw)) weights.parameters.push_back(named);
    for (const auto& named : net.buffers(raw)) weights.buffers.push_back(named);
  }
  return weights;
}

// The largest difference between the file's results and the run's own, relative to values above 1.
double compare(const Target& target, const std::string& bytes, torch::ScalarType dtype) {
  const TensorFunction loaded = read_script(bytes);
  double largest = 0;
  for (const int64_t count : {1, 7, 64}) {
    const auto inputs = examples(target, count, dtype);
    const torch::Tensor ours = target.run(inputs), theirs = loaded(inputs);
    require(ours.sizes() == theirs.sizes(), Exit::usage, "a batch of {} comes out as {}", count,
            c10::str(theirs.sizes()));
    const double scale = std::max(1.0, ours.abs().max().item<double>());
    largest = std::max(largest, (ours - theirs).abs().max().item<double>() / scale);
  }
  require(largest < 1e-4, Exit::usage, "results differ by {:.3g}", largest);
  return largest;
}

// A TorchScript file that has been compared. A net that depends on the number of samples fails in one of
// several ways, which are explained alike.
std::pair<std::string, double> checked_script(const Target& target, bool raw, const json& about,
                                              torch::ScalarType dtype) try {
  Named inputs;
  const auto values = examples(target, 2, dtype);
  for (size_t i = 0; i < values.size(); ++i) inputs.emplace_back(target.inputs[i].name, values[i]);
  const std::string bytes =
      write_script(weights_of(target, raw), inputs, target.run, {{"saddle.json", about.dump(1)}});
  return {bytes, compare(target, bytes, dtype)};
} catch (const std::exception& e) {
  fail(Exit::usage,
       "net {} does not give the same in TorchScript on batches of 1, 7 and 64 samples, as one that compares "
       "the samples of a batch cannot: export it --to safetensors ({})",
       target.nets.front().name, std::string(e.what()).substr(0, 200));
}

struct ExportFlags {
  std::string run, step, to, out;
  ExportOptions options;
};

void require_writable(const ExportFlags& flags) {
  const std::vector<std::string> endings =
      flags.to == "safetensors" ? std::vector<std::string>{".safetensors"}
                                : std::vector<std::string>{".pt", ".pth", ".ts", ".torchscript"};
  const std::string reason = unwritable(flags.out, endings);
  require(reason.empty(), Exit::usage, "--to {} --out {}", flags.to, reason);
}

int export_run(World& world, const ExportFlags& flags) {
  const Comm host = world.comm("cpu");
  host.together([&] {
    if (host.rank() != 0) return;
    require_writable(flags);
    const auto run = load_run(flags.run, World::alone(), flags.step);
    std::string checked;
    if (flags.to == "safetensors")
      export_safetensors(*run, flags.options, flags.out);
    else
      checked = fmt::format("; loaded again, it differs by at most {:.2g} on batches of 1, 7 and 64",
                            export_torchscript(*run, flags.options, flags.out));
    const json is = describe_export(*run, flags.options);
    log::info("net {} of '{}' at step {}, {} weights, in {}{}",
              fmt::join(is["nets"].get<std::vector<std::string>>(), ", "), flags.run, run->step,
              is["weights"].get<std::string>(), flags.out, checked);
  });
  return 0;
}

}  // namespace

json describe_export(LoadedRun& run, const ExportOptions& options) {
  return describe(run, target_of(run, options), options.raw);
}

void export_safetensors(LoadedRun& run, const ExportOptions& options, const std::string& path) {
  const Target target = target_of(run, options);
  const Weights weights = weights_of(target, options.raw);
  std::map<std::string, torch::Tensor> tensors(weights.parameters.begin(), weights.parameters.end());
  tensors.insert(weights.buffers.begin(), weights.buffers.end());
  const json about = describe(run, target, options.raw);
  Metadata metadata;
  for (const auto& [key, value] : about.items())
    metadata[key] = value.is_string() ? value.get<std::string>() : value.dump();
  publish_safetensors(path, tensors, metadata);
}

double export_torchscript(LoadedRun& run, const ExportOptions& options, const std::string& path) {
  const Target target = target_of(run, options);
  require(options.nets.size() <= 1, Exit::usage, "--to torchscript: one --net at a time");
  const auto [bytes, difference] =
      checked_script(target, options.raw, describe(run, target, options.raw), run.system->context().dtype);
  write_file(path, bytes);
  return difference;
}

void add_export(CLI::App& app, Command& chosen) {
  auto flags = std::make_shared<ExportFlags>();
  CLI::App* sub =
      app.add_subcommand("export", "Write a run's generator as a file that PyTorch loads without saddle");
  sub->add_option("run", flags->run, "Run folder")->required();
  add_step(sub, flags->step);
  sub->add_option(
         "--to", flags->to,
         "safetensors: the weights by name; torchscript: torch.jit.load(FILE)(z), or (z, y) with labels")
      ->required()
      ->check(CLI::IsMember({"safetensors", "torchscript"}));
  sub->add_option("--out", flags->out, "File to write: .safetensors, or .pt of TorchScript")->required();
  sub->add_option("--net", flags->options.nets,
                  "Another net, such as D; repeatable (default: what samples are drawn with)");
  sub->add_flag("--raw", flags->options.raw, "The live weights instead of their moving average");
  sub->callback([flags, &chosen] { chosen = [flags](World& world) { return export_run(world, *flags); }; });
}

}  // namespace saddle
