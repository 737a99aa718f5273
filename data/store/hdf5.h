// What every file that calls HDF5 needs: handles that close themselves, silence, and the reason of a failure.
#pragma once

#include <hdf5.h>

#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

namespace saddle::hdf5 {

class Handle {
 public:
  Handle() = default;
  Handle(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(id_, other.id_), std::swap(close_, other.close_);
    return *this;
  }
  // Closing would clear the errors of a failed call before it, of which `reason` tells.
  ~Handle() {
    if (id_ < 0) return;
    const hid_t errors = H5Eget_current_stack();
    close_(id_);
    H5Eset_current_stack(errors);
  }
  operator hid_t() const { return id_; }
  bool close() { return close_(std::exchange(id_, -1)) >= 0; }

 private:
  hid_t id_ = -1;
  herr_t (*close_)(hid_t) = nullptr;
};

// HDF5 prints its errors unless told not to; they come with our own instead.
struct Quiet {
  Quiet() {
    // HDF5 1.10 loses handles of its own on damaged files and complains about them at exit; ours are closed
    // by then.
    static const bool once = H5dont_atexit() >= 0;
    static_cast<void>(once);
    H5Eget_auto2(H5E_DEFAULT, &print, &data);
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  }
  ~Quiet() { H5Eset_auto2(H5E_DEFAULT, print, data); }
  Quiet(const Quiet&) = delete;
  H5E_auto2_t print = nullptr;
  void* data = nullptr;
};

// Of the last call, which failed; the system's where that is why.
inline std::string reason() {
  std::string innermost;
  const auto keep = [](unsigned depth, const H5E_error2_t* error, void* to) -> herr_t {
    if (depth == 0) *static_cast<std::string*>(to) = error->desc;
    return 0;
  };
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep, &innermost);
  const std::string of_system = "error message = '";
  if (const size_t at = innermost.find(of_system); at != std::string::npos) {
    const size_t from = at + of_system.size();
    return innermost.substr(from, innermost.find('\'', from) - from);
  }
  return innermost.empty() ? "HDF5 gives no reason" : innermost;
}

// Whether every step of a path is a hard link: a soft one may go on by an external one, into another file.
inline bool is_inside(hid_t file, const std::string& path) {
  for (size_t end = 0; end != std::string::npos;) {
    end = path.find('/', end + 1);
    H5L_info_t link{};
    if (H5Lget_info(file, path.substr(0, end).c_str(), &link, H5P_DEFAULT) < 0) return false;
    if (link.type != H5L_TYPE_HARD) return false;
  }
  return true;
}

// Read only, and without locks: network file systems often have none, and nobody writes here. What is no
// regular file would be waited for.
inline hid_t open_for_reading(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return H5I_INVALID_HID;
  Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
#if H5_VERSION_GE(1, 10, 7)
  H5Pset_file_locking(access, false, true);
#endif
  return H5Fopen(path.c_str(), H5F_ACC_RDONLY, access);
}

}  // namespace saddle::hdf5
