#include "launch/flags.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>

namespace saddle {
namespace {

namespace fs = std::filesystem;

std::string not_a_step(const std::string& text) {
  const bool number = !text.empty() && text.size() < 19 && text.find_first_not_of("0123456789") == text.npos;
  return number || text == "best" ? "" : fmt::format("expected a step's number or best, found '{}'", text);
}

}  // namespace

CLI::Option* add_step(CLI::App* sub, std::string& step, const std::string& flag, const std::string& help) {
  return sub->add_option(flag, step, help)->check(CLI::Validator(not_a_step, "N|best"));
}

CLI::Option* add_device(CLI::App* sub, std::string& device) {
  return sub->add_option("--device", device, "auto: CUDA if every rank has a GPU")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}))
      ->capture_default_str();
}

std::string ending_of(const std::string& path) {
  std::string ending = fs::path(path).extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return ending;
}

std::string unwritable(const std::string& path, const std::vector<std::string>& endings) {
  const std::string ending = ending_of(path);
  if (std::find(endings.begin(), endings.end(), ending) == endings.end())
    return fmt::format("'{}' {}: expected a file name that ends in {}", path,
                       ending.empty() ? "has no ending" : "ends in " + ending, fmt::join(endings, " or "));
  const fs::path folder = fs::path(path).parent_path();
  std::error_code none;
  if (!folder.empty() && !fs::is_directory(folder, none))
    return fmt::format("'{}': there is no folder '{}' to write it in", path, folder.string());
  if (fs::is_directory(path, none)) return fmt::format("'{}' is a folder: expected a file to write", path);
  return "";
}

CLI::Validator written_as(std::vector<std::string> endings) {
  const auto check = [endings](const std::string& path) { return unwritable(path, endings); };
  return {check, fmt::format("FILE{}", fmt::join(endings, "|"))};
}

}  // namespace saddle
