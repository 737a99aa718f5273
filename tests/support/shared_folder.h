// A folder that all ranks of a test see; rank 0 makes it, and removes it once no rank needs it any more.
#pragma once

#include <optional>
#include <string>

#include "dist/comm.h"
#include "tests/data/folder.h"

namespace saddle::test {

class SharedFolder {
 public:
  explicit SharedFolder(const Comm& comm) : comm_(comm) {
    if (comm.rank() == 0) own_.emplace();
    path_ = comm.broadcast_text(own_ ? own_->path() : "");
  }
  ~SharedFolder() { comm_.barrier(); }  // collective
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  Comm comm_;
  std::optional<Folder> own_;
  std::string path_;
};

}  // namespace saddle::test
