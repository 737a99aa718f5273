#include "launch/bench/recording.h"

#include <ATen/Parallel.h>
#include <ATen/ops/randint.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "dist/error.h"
#include "dist/flight.h"
#include "launch/run/cores.h"
#include "launch/run/open_data.h"

namespace saddle::bench {
namespace {

using nlohmann::json;

std::shared_ptr<Dataset> random_images(const std::string& text) {
  constexpr int64_t kImages = 1024, kClasses = 10;
  const std::vector<int64_t> shape = parse_shape(text, "--synthetic");
  require(shape.size() == 3, Exit::usage, "--synthetic {}: expected channels x height x width", text);
  std::vector<int64_t> sizes{kImages};
  sizes.insert(sizes.end(), shape.begin(), shape.end());
  Schema schema{
      {{.name = "image", .shape = shape, .dtype = torch::kByte, .classes = 0, .class_names = {}},
       {.name = "label", .shape = {}, .dtype = torch::kLong, .classes = kClasses, .class_names = {}}}};
  return in_memory(schema,
                   {{"image", torch::randint(256, sizes, torch::TensorOptions(torch::kByte))},
                    {"label", torch::arange(kImages, torch::kLong).remainder(kClasses)}},
                   {{"source", "random images"}});
}

std::vector<Collective> collectives(int64_t step) {
  std::vector<Collective> made;
  const double now = trace::now();
  std::istringstream lines(flight::dump());
  for (std::string line; std::getline(lines, line);) {
    const json c = json::parse(line);
    if (c["step"] == step)
      made.push_back({.name = c["name"],
                      .doing = c["doing"],
                      .bytes = c["bytes"],
                      .entered = now + c["entered"].get<double>(),
                      .left = now + c.value("left", 0.0)});
  }
  return made;
}

RecordedStep record_step(Trainer& trainer) {
  const int64_t number = trainer.steps();
  RecordedStep made;
  trainer.comm().barrier();
  trace::start();
  made.begin = trace::now();
  trainer.step();
  made.end = trace::now();
  made.events = trace::stop();
  made.collectives = collectives(number);
  return made;
}

}  // namespace

Recording record(World& world, const TrainingOptions& options) {
  const Comm host = world.comm("cpu");
  Run run;
  std::shared_ptr<Dataset> data;
  host.together([&] {
    require(options.data.empty() != options.synthetic.empty(), Exit::usage,
            "give either --data DIR, a folder made by `saddle pack`, or --synthetic CxHxW");
    run.resolve(find_recipe(options.recipe), fmt::format("recipe '{}'", options.recipe), options.sets);
    data = options.data.empty() ? random_images(options.synthetic) : open_data(options.data);
  });
  const Comm comm = run.options.device == "cpu" ? host : world.comm(run.options.device);
  share_cores(comm, run.options.threads);
  std::unique_ptr<Trainer> trainer;
  host.together([&] { trainer = std::make_unique<Trainer>(run, comm, data); });
  Recording made{
      .comm = comm,
      .batch = run.options.batch,
      .about = fmt::format("{}, batch {}, {} rank{} on {}, {} threads each; {}", run.options.system,
                           run.options.batch, comm.size(), comm.size() == 1 ? "" : "s", comm.device().str(),
                           at::get_num_threads(), trainer->system().summary()),
      .steps = {}};
  for (int64_t i = 0; i < options.warm_up; ++i) trainer->step();
  for (int64_t i = 0; i < options.steps; ++i) made.steps.push_back(record_step(*trainer));
  return made;
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

}  // namespace saddle::bench
