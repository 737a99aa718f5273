// saddle check: reads every byte of a data set and says what is wrong with it, or what is in it.
#include <algorithm>
#include <numeric>

#include "data/dataset.h"
#include "data/loader.h"
#include "data/picture.h"
#include "data/shard_set.h"
#include "dist/error.h"
#include "launch/commands.h"

namespace saddle {
namespace {

void print_row(const char* name, const std::string& value) {
  fmt::print("{:<12} {}\n", name, value);
}

std::string class_name(const Field& field, int64_t label) {
  return field.class_names.empty() ? fmt::format("{}", label) : field.class_names[size_t(label)];
}

void print_classes(const Field& field, const std::vector<int64_t>& counts) {
  for (int64_t label = 0; label < int64_t(counts.size()); ++label)
    fmt::print("  {:<20} {}\n", class_name(field, label), counts[size_t(label)]);
}

void print_table(const std::string& folder, const Audit& audit) {
  const Index& index = audit.index;
  int64_t bytes = 0;
  for (const ShardInfo& shard : index.shards) bytes += shard.bytes;
  print_row("folder", folder);
  print_row("source", index.provenance.value("source", "unknown"));
  print_row("samples", fmt::format("{}", index.count));
  print_row("schema", describe(index.schema));
  print_row("shards", fmt::format("{}, {:.1f} MiB together", index.shards.size(), double(bytes) / (1 << 20)));
  print_row("fingerprint", index.fingerprint);
  for (size_t f = 0; f < index.schema.fields.size(); ++f)
    if (!audit.per_class[f].empty()) {
      print_row(index.schema.fields[f].name.c_str(), "samples");
      print_classes(index.schema.fields[f], audit.per_class[f]);
    }
}

void draw(const std::string& folder, const std::string& path) {
  constexpr int64_t kImages = 64;
  const auto data = open_shards(folder);
  const bool images = data->schema().has("image") && data->schema()["image"].shape.size() == 3;
  require(images, Exit::usage, "--picture: {} has no images, only {}", folder, describe(data->schema()));
  std::vector<int64_t> first(size_t(std::min(kImages, data->size())));
  std::iota(first.begin(), first.end(), 0);
  write_png(path, grid(to_model(data->read(first)["image"], torch::kCPU, torch::kFloat)));
  print_row("picture", path);
}

int check(const std::string& folder, const std::string& picture) {
  const Audit found = audit(folder);
  for (const auto& problem : found.problems) fmt::print("{}\n", problem);
  print_table(folder, found);
  print_row("verdict", found.problems.empty() ? "sound" : fmt::format("{} problems", found.problems.size()));
  if (!found.problems.empty()) return int(Exit::data);
  if (!picture.empty()) draw(folder, picture);
  return 0;
}

int run(World& world, const std::string& folder, const std::string& picture) {
  const Comm comm = world.comm("cpu");
  int status = 0;
  comm.together([&] {
    if (comm.rank() == 0) status = check(folder, picture);
  });
  return std::stoi(comm.broadcast_text(std::to_string(status)));
}

}  // namespace

void add_check(CLI::App& app, Command& chosen) {
  auto folder = std::make_shared<std::string>(), picture = std::make_shared<std::string>();
  CLI::App* check = app.add_subcommand("check", "Verify every byte of a packed data set and describe it");
  check->add_option("DIR", *folder, "Folder made by `saddle pack`")->required();
  check->add_option("--picture", *picture, "PNG file to write: a contact sheet of the first 64 images");
  check->callback([=, &chosen] { chosen = [=](World& world) { return run(world, *folder, *picture); }; });
}

}  // namespace saddle
