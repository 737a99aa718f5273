// The program: reads the command line, starts MPI, runs the chosen subcommand, and turns errors into one line
// and an exit status.
#include <iostream>

#include "dist/agree.h"
#include "dist/error.h"
#include "dist/file.h"
#include "dist/flight.h"
#include "dist/launcher.h"
#include "launch/commands.h"
#include "launch/usage.h"
#include "launch/versions.h"

namespace saddle {
namespace {

int report(World& world, Exit kind, bool everywhere, const std::string& message) {
  if (everywhere || world.size() == 1) {
    const std::string place = kind == Exit::bug ? fmt::format(" (at {})", flight::sign().text()) : "";
    if (world.rank() == 0) std::cerr << "saddle: " << message << place << std::endl;
    world.barrier();  // mpirun ends the others when the first rank leaves: rank 0 speaks before that
    return static_cast<int>(kind);
  }
  world.fail(static_cast<int>(kind), message);
}

int run(World& world, const std::string& name, const OnRanks& command) {
  try {
    // First of all: other programs and commands would come to other collectives. The doctor reports on
    // programs itself.
    require_same(world.comm("cpu"), "program and command",
                 (name == "doctor" ? "" : "saddle " + hash_file("/proc/self/exe") + "\n") + name);
    return command(world);
  } catch (const Error& e) {
    return report(world, e.kind, e.everywhere, e.what());
  } catch (const c10::Error& e) {
    return report(world, Exit::bug, false, e.what_without_backtrace());
  } catch (const std::exception& e) {
    return report(world, Exit::bug, false, e.what());
  }
}

}  // namespace
}  // namespace saddle

int main(int argc, char** argv) {
  using namespace saddle;
  CLI::App app(
      "saddle: GAN training on clusters. Start it plainly for one rank, under mpirun or srun for many.",
      "saddle");
  const bool speaks = launcher().first();  // before MPI has started nothing else tells
  Command chosen;
  bool version = false;
  app.add_flag("--version", version, "Print the versions of saddle, LibTorch, CUDA, NCCL, MPI and HDF5");
  app.require_subcommand(0, 1);
  for (const auto add : {add_pack, add_unpack, add_train, add_sample, add_evaluate, add_export, add_import,
                         add_check, add_checkpoints, add_bench, add_doctor, add_flight, add_list, add_launch})
    add(app, chosen);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return speaks ? app.exit(e) : 0;  // --help
    if (speaks) std::cerr << "saddle: " << usage_error(app, e, {argv + 1, argv + argc}) << std::endl;
    return static_cast<int>(Exit::usage);
  }
  if (version) {
    if (speaks) std::cout << version_text();
    return 0;
  }
  if (std::holds_alternative<std::monostate>(chosen)) {
    if (speaks) std::cout << app.help();
    return static_cast<int>(Exit::usage);
  }
  try {
    if (const auto* plain = std::get_if<Plain>(&chosen)) return (*plain)();
    World world(argc, argv);
    return run(world, app.get_subcommands().front()->get_name(), std::get<OnRanks>(chosen));
  } catch (const Error& e) {  // of a plain command, or of the world's own making on all ranks
    if (speaks) std::cerr << "saddle: " << e.what() << std::endl;
    return static_cast<int>(e.kind);
  }
}
