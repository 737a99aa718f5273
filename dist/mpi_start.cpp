#include "dist/mpi_start.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <string>

#include "dist/error.h"
#include "dist/meeting.h"
#include "dist/process.h"

namespace saddle {
namespace {

// A child that says `line` if this process ends before the scope does. No handler of ours would run: OpenMPI
// calls _exit.
class LastWord {
 public:
  explicit LastWord(const std::string& line) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return;
    child_ = fork();
    if (child_ == 0) speak(ends, line);
    close(ends[0]);
    write_ = ends[1];
  }
  ~LastWord() {
    if (write_ >= 0 && write(write_, "", 1) == 1 && child_ > 0) waitpid(child_, nullptr, 0);
    close(write_);
  }
  LastWord(const LastWord&) = delete;
  LastWord& operator=(const LastWord&) = delete;

 private:
  [[noreturn]] static void speak(const int (&ends)[2], const std::string& line) {
    std::signal(SIGTERM, SIG_IGN);  // which mpirun sends to the others when one has failed
    close(ends[1]);
    char started = 0;
    const bool ended = read(ends[0], &started, 1) == 0;
    if (ended && write(STDERR_FILENO, line.data(), line.size()) < 0) _exit(1);
    _exit(0);
  }

  pid_t child_ = -1;
  int write_ = -1;
};

}  // namespace

void require_acquainted(const Launcher& launcher) {
  if (launcher.introduces) return;
  for (const auto& [variable, ranks] : launcher.ranks)
    require(ranks < 2, Exit::usage,
            "Slurm started {}={} tasks, but MPI's world would be 1 rank, for srun gave no PMIx: "
            "srun --mpi=pmix (`srun --mpi=list` tells what there is), or mpirun inside the job",
            variable, ranks);
}

MPI_Comm start_mpi(int& argc, char**& argv, const Launcher& launcher) {
  // Else OpenMPI spins where it waits, and with other work on the cores a 1 KiB sum of two ranks takes 8 ms
  // instead of 8 us. On idle cores it makes no difference.
  setenv("OMPI_MCA_mpi_yield_when_idle", "1", /*overwrite=*/0);
  int provided = 0;
  {
    const LastWord word(
        fmt::format("saddle: rank {} ({}): MPI did not start, OpenMPI says why: is it the one that saddle is "
                    "built with, are "
                    "its settings right (OMPI_MCA_*, --mca), and does a network join the hosts?\n",
                    launcher.rank ? std::to_string(launcher.rank->value) : "?", host_name()));
    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &provided);
  }
  require(provided == MPI_THREAD_MULTIPLE, Exit::usage,
          "this MPI gives no MPI_THREAD_MULTIPLE: use an OpenMPI built with it (Debian's is)");
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm all = MPI_COMM_NULL;
  const Meeting meeting(rank);
  MPI_Comm_dup(MPI_COMM_WORLD, &all);
  return all;
}

}  // namespace saddle
