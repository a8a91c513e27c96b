/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "filter/linktype.h"

#include <pcap/pcap.h>

/* linktype_parse() - the link type that libpcap knows by a name, in any case, without DLT_
 * @dlt: its DLT number in this system's libpcap. The number in a capture file is another
 *	one for some types (RAW: 12 here, 101 there); libpcap's writer converts it.
 *
 * Return: true with *@dlt set; false leaves *@dlt alone.
 */
bool linktype_parse(const char *name, int *dlt)
{
	int value = pcap_datalink_name_to_val(name);

	if (value < 0)
		return false;
	*dlt = value;
	return true;
}
