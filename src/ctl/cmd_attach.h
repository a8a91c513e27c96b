/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The commands that have to do with the container engine. */
#ifndef CTL_CMD_ATTACH_H
#define CTL_CMD_ATTACH_H

#include "ctl/request.h"

enum request_state cmd_add_nio_docker(struct request *request);
enum request_state cmd_delete_nio_docker(struct request *request);
enum request_state cmd_docker_list(struct request *request);
enum request_state cmd_docker_wait(struct request *request);
enum request_state cmd_docker_pid(struct request *request);
enum request_state cmd_docker_engine(struct request *request);

#endif
