// The program: reads the command line, runs the chosen subcommand, with MPI where a launcher started several
// ranks, and turns errors into one line and an exit status.
#include <cstdlib>
#include <exception>
#include <iostream>

#include "dist/agree.h"
#include "dist/caught.h"
#include "dist/file.h"
#include "dist/flight.h"
#include "dist/launcher.h"
#include "dist/streams.h"
#include "dist/utf8.h"
#include "launch/commands.h"
#include "launch/doctor/world.h"
#include "launch/run/versions.h"
#include "launch/usage.h"

namespace saddle {
namespace {

void say(const Error& error) {
  const std::string place = error.kind == Exit::bug ? fmt::format(" (at {})", flight::sign().text()) : "";
  std::cerr << "saddle: " << printable_lines(error.what()) << place << std::endl;
}

// An exception has left a thread, or a destructor: no way back to main.
[[noreturn]] void end_badly() {
  if (!std::current_exception()) std::abort();
  try {
    const Error error = caught();
    say(error);
    std::_Exit(static_cast<int>(error.kind));
  } catch (...) {
    std::_Exit(static_cast<int>(Exit::bug));
  }
}

// The status of a command whose output has come out.
int printed(int status) {
  flush_output();
  return status;
}

int report(World& world, const Error& error) {
  if (!error.everywhere && world.size() > 1) world.fail(static_cast<int>(error.kind), error.what());
  if (world.rank() == 0 && launcher().first()) say(error);
  world.barrier();  // mpirun ends the others when the first rank leaves: rank 0 speaks before that
  return static_cast<int>(error.kind);
}

// Ranks that did not find each other would each do all the work, and fight for its files.
void require_whole_world(const Comm& host) {
  const doctor::Verdict verdict = doctor::verdict_on_world(host);
  host.together([&] {
    require(verdict.status != doctor::Status::failure, Exit::usage, "{}: {}", verdict.found, verdict.advice);
  });
}

int run(World& world, const std::string& name, const OnRanks& command) {
  try {
    const Comm host = world.comm("cpu");
    const bool doctor = name == "doctor";  // reports on world and programs itself
    if (!doctor) require_whole_world(host);
    // Before all else of a command: other programs and commands would come to other collectives.
    require_same(host, "program and command",
                 (doctor ? "" : "saddle " + hash_file("/proc/self/exe") + "\n") + name);
    return printed(command.work(world));
  } catch (...) {
    return report(world, caught());
  }
}

// `speaks`: this rank does, before the ranks have met.
int choose(int argc, char** argv, bool speaks) {
  CLI::App app(
      "saddle: GAN training on clusters. Start it plainly for one rank, under mpirun or srun for many.",
      "saddle");
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
    if (e.get_exit_code() == 0) return speaks ? printed(app.exit(e)) : 0;  // --help
    fail(Exit::usage, "{}", usage_error(app, e, {argv + 1, argv + argc}));
  }
  if (version) {
    if (speaks) std::cout << version_text();
    return printed(0);
  }
  if (std::holds_alternative<std::monostate>(chosen)) {
    if (speaks) std::cout << app.help();
    return printed(static_cast<int>(Exit::usage));
  }
  if (const auto* plain = std::get_if<Plain>(&chosen)) return printed((*plain)());
  const auto& command = std::get<OnRanks>(chosen);
  World world(argc, argv, command.watch_interface ? command.watch_interface() : "");
  return run(world, app.get_subcommands().front()->get_name(), command);
}

}  // namespace
}  // namespace saddle

int main(int argc, char** argv) {
  using namespace saddle;
  bool speaks = true;
  try {
    open_streams();
    std::set_terminate(end_badly);
    speaks = launcher().first();
    return choose(argc, argv, speaks);
  } catch (...) {  // of a plain command, or of the world's own making on all ranks
    const Error error = caught();
    if (speaks) say(error);
    return static_cast<int>(error.kind);
  }
}
