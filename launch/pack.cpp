// saddle pack: a source -> a folder of shards.
#include "data/pack/pack.h"

#include <filesystem>

#include "dist/error.h"
#include "dist/log.h"
#include "launch/commands.h"

namespace saddle {
namespace {

std::optional<ImageSize> parse_size(const std::string& text) {
  if (text.empty()) return {};
  ImageSize size;
  char rest;
  const int found = std::sscanf(text.c_str(), "%ldx%ld%c", &size.height, &size.width, &rest);
  require(found == 2 && size.height > 0 && size.width > 0, Exit::usage,
          "--size: expected HEIGHTxWIDTH such as 64x64, found {}", text);
  return size;
}

int64_t bytes_of(const Index& index) {
  int64_t sum = 0;
  for (const ShardInfo& shard : index.shards) sum += shard.bytes;
  return sum;
}

void say(const Packed& packed, const PackRequest& request) {
  const Index& index = packed.index;
  if (packed.skipped) log::warn("{} damaged samples were skipped", packed.skipped);
  fmt::print("{} {}: {} samples of {}, {:.1f} MiB in {} shard{} under {}\n",
             packed.already ? "already packed" : "packed", request.source, index.count,
             describe(index.schema), double(bytes_of(index)) / (1 << 20), index.shards.size(),
             index.shards.size() == 1 ? "" : "s", request.out);
  fmt::print("next: saddle check {}   or   saddle train --help\n", request.out);
}

// One rank writes; the others wait for it and share its error.
int run(World& world, PackRequest request, const std::string& size) {
  request.size = parse_size(size);
  world.comm("cpu").together([&] {
    if (world.rank() == 0) say(pack(request), request);
  });
  return 0;
}

}  // namespace

void add_pack(CLI::App& app, Command& chosen) {
  auto request = std::make_shared<PackRequest>();
  auto size = std::make_shared<std::string>();
  CLI::App* pack = app.add_subcommand("pack", "Turn pictures, IDX files or a generated set into shards");
  pack->add_option("SOURCE", request->source, "One of" + importer_help())->required();
  pack->add_option("--out", request->out, "Folder to write, made if absent")->required();
  pack->add_option("--size", *size,
                   "HEIGHTxWIDTH in pixels: centre crop, then antialiased resize (default: the source's)");
  pack->add_option("--channels", request->channels, "1 grey or 3 colour (default: the source's)")
      ->check(CLI::IsMember({1, 3}));
  pack->add_option("--shard-mib", request->shard_mib, "Size of a shard in MiB; one is held in memory")
      ->capture_default_str();
  pack->add_option("--seed", request->seed, "Seed of generated sets")->capture_default_str();
  pack->add_option(
          "--samples", request->samples,
          "Number of samples; of files, so many evenly spread (default: all, 100000 of a generated set)")
      ->check(CLI::PositiveNumber);
  pack->add_option("--split", request->split, "Which part of an IDX folder")
      ->check(CLI::IsMember({"train", "test"}))
      ->capture_default_str();
  pack->add_flag("--skip-bad", request->skip_bad, "Leave out damaged files instead of failing");
  pack->add_flag("--force", request->force, "Replace what is in the folder");
  pack->callback([=, &chosen] { chosen = [=](World& world) { return run(world, *request, *size); }; });
}

}  // namespace saddle
