// What bad input to a measure must end in.
#pragma once

#include <gtest/gtest.h>

#include <functional>

#include "dist/error.h"

namespace saddle::test {

inline void expect_refused(const std::function<void()>& measure) {
  try {
    measure();
    ADD_FAILURE() << "not refused";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind, Exit::usage) << error.what();
  }
}

}  // namespace saddle::test
