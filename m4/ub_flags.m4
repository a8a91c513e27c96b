dnl SPDX-License-Identifier: GPL-3.0-or-later

dnl UB_APPEND_FLAGS(VARIABLE, CFLAGS or LDFLAGS, FLAGS)
dnl Adds those of FLAGS to VARIABLE that this compiler takes.
AC_DEFUN([UB_APPEND_FLAGS], [
  for ub_flag in m4_normalize([$3]); do
    AC_MSG_CHECKING([whether the compiler takes $ub_flag])
    ub_saved=$[$2]
    # clang only warns about flags that it does not know
    $2="$ub_saved $ub_flag -Werror"
    AC_LINK_IFELSE([AC_LANG_PROGRAM([])],
      [AC_MSG_RESULT([yes]); $1="$[$1] $ub_flag"],
      [AC_MSG_RESULT([no])])
    $2=$ub_saved
  done
])

dnl UB_REQUIRE_FLAGS(FLAGS)
dnl Stops unless a program can be compiled and linked with FLAGS.
AC_DEFUN([UB_REQUIRE_FLAGS], [
  AC_MSG_CHECKING([whether the compiler takes $1])
  ub_saved=$CFLAGS
  CFLAGS="$CFLAGS $1"
  AC_LINK_IFELSE([AC_LANG_PROGRAM([])], [AC_MSG_RESULT([yes])],
    [AC_MSG_RESULT([no]); AC_MSG_ERROR([the compiler does not take $1])])
  CFLAGS=$ub_saved
])
