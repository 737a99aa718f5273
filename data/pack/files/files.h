// The files of a source, below a folder or in a ZIP archive: listed once, then read in any order.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "data/pack/files/walk.h"

namespace saddle {

class Files {
 public:
  struct Entry {
    std::string name;  // below the folder or in the archive, with '/' between folders
    int64_t bytes = 0;
    uint64_t key = 0;  // of the archive
  };

  virtual ~Files() = default;
  const std::vector<std::string>& names() const { return names_; }  // sorted bytewise, each once
  size_t count() const { return names_.size(); }
  int64_t bytes(size_t i) const { return bytes_[i]; }  // as declared; of an archive not yet proved
  std::string path(size_t i) const;                    // for errors: /folder/name, or archive.zip:name
  std::optional<size_t> find(const std::string& name) const;
  const std::vector<std::string>& folders() const {
    return folders_;
  }                                                        // the outermost, sorted; also empty ones
  const LeftOut& left_out() const { return left_out_; }    // all that is there and not in names()
  const std::string& wrapper() const { return wrapper_; }  // of an archive: the folder that names() lack
  // The content, or at least its first `most` bytes where it is longer. Exit::data names the file.
  // Thread-safe.
  virtual std::string read(size_t i, int64_t most = std::numeric_limits<int64_t>::max()) const = 0;
  // All of it; Exit::data before it is read if it is longer than `most` bytes.
  std::string read_whole(size_t i, int64_t most) const;
  // {"source": ..., "files": count, "bytes": all, "newest": seconds since 1970}
  nlohmann::json identity() const;

 protected:
  Files(std::string root, char separator) : root_(std::move(root)), separator_(separator) {}
  void take(std::vector<Entry> entries);  // Exit::data if two have one name

  std::string root_;
  char separator_;
  std::vector<std::string> names_;
  std::vector<int64_t> bytes_;
  std::vector<uint64_t> keys_;
  std::vector<std::string> folders_;
  LeftOut left_out_;
  std::string wrapper_;
  int64_t newest_ = 0, stored_ = 0;
};

bool is_archive(const std::string& path);  // a file that begins as a ZIP archive does

// Those of which `keep` is true; the others are counted. Hidden ones (.git, .DS_Store, __MACOSX) are never
// listed, nor is the one folder in which an archive may have wrapped everything part of the names. Exit::data
// names an archive that is damaged, Exit::io what cannot be read.
std::shared_ptr<const Files> open_files(const std::string& path,
                                        const std::function<bool(const std::string& name)>& keep);

// The name without what follows the last point, and the part after the last '/'.
std::string stem_of(const std::string& name);
std::string base_of(const std::string& name);
// The same text with every byte that is no UTF-8 replaced: what JSON, HDF5 and terminals take.
std::string readable(const std::string& text);

}  // namespace saddle
