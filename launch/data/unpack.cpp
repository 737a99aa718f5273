// saddle unpack: a folder of shards -> PNG files, in a folder or in StyleGAN's ZIP archive.
#include "data/view/unpack.h"

#include "dist/error.h"
#include "dist/utf8.h"
#include "launch/commands.h"

namespace saddle {
namespace {

// One rank writes; the others wait for it and share its error.
int run(World& world, const std::string& folder, const std::string& to) {
  world.comm("cpu").together([&] {
    if (world.rank() != 0) return;
    const auto data = open_shards(folder);
    if (to.ends_with(".zip"))
      write_stylegan_zip(*data, to);
    else
      write_picture_folder(*data, to);
    fmt::print("unpacked {}: {} pictures in {}\n", printable(folder), data->size(), printable(to));
  });
  return 0;
}

}  // namespace

void add_unpack(CLI::App& app, Command& chosen) {
  auto folder = std::make_shared<std::string>(), to = std::make_shared<std::string>();
  CLI::App* unpack = app.add_subcommand("unpack", "Turn a packed data set of pictures back into PNG files");
  unpack->add_option("DIR", *folder, "Folder made by `saddle pack`")->required();
  unpack
      ->add_option(
          "--to", *to,
          "FILE.zip as StyleGAN's tools read it, or a folder with a sub-folder a class; not there yet")
      ->required();
  unpack->callback([=, &chosen] { chosen = [=](World& world) { return run(world, *folder, *to); }; });
}

}  // namespace saddle
