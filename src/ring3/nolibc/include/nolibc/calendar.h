/* struct tm: UTC only, as there is no time zone database here. */
#ifndef NOLIBC_CALENDAR_H
#define NOLIBC_CALENDAR_H

#include "timespec.h"
#include "integers.h"
#include "../strings.h"

struct tm {
	int tm_sec, tm_min, tm_hour, tm_mday, tm_mon, tm_year, tm_wday, tm_yday, tm_isdst;
	long tm_gmtoff;
	const char *tm_zone;
};

/* Days from 1970-01-01 to the first of March of a year that begins then: leap days come last. */
NOLIBC_FN long __nolibc_days(long year, int month, int day)
{
	long era;

	year -= month < 3;
	era = (year >= 0 ? year : year - 399) / 400;
	year -= era * 400;
	return era * 146097 + year * 365 + year / 4 - year / 100 + (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 +
	       day - 1 - 719468;
}

NOLIBC_FN struct tm *gmtime_r(const time_t *time, struct tm *to)
{
	static const unsigned short before[12] = { 306, 337, 0, 31, 61, 92, 122, 153, 184, 214, 245, 275 };
	long days, year, era, rest;
	long long seconds = *time;
	int leap;

	/* 86400 is 2^7 * 675: no division of 64 bits, for times up to 8700 years from 1970 on 32 bits. */
	days = (long)(seconds >> 7) / 675;
	rest = (long)(seconds - (long long)days * 86400);
	if (rest < 0) {
		rest += 86400;
		days--;
	}
	to->tm_sec = (int)(rest % 60);
	to->tm_min = (int)(rest / 60 % 60);
	to->tm_hour = (int)(rest / 3600);
	to->tm_wday = (int)((days % 7 + 11) % 7);
	days += 719468;
	era = (days >= 0 ? days : days - 146096) / 146097;
	days -= era * 146097;
	year = (days - days / 1460 + days / 36524 - days / 146096) / 365;
	days -= year * 365 + year / 4 - year / 100;
	to->tm_mon = (int)((5 * days + 2) / 153);
	to->tm_mday = (int)(days - (153 * to->tm_mon + 2) / 5 + 1);
	to->tm_mon = (to->tm_mon + 2) % 12;
	year += era * 400 + (to->tm_mon < 2);
	to->tm_year = (int)(year - 1900);
	leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
	to->tm_yday = to->tm_mday - 1 + before[to->tm_mon] + (to->tm_mon < 2 ? -306 : 59 + leap);
	to->tm_isdst = 0;
	to->tm_gmtoff = 0;
	to->tm_zone = "UTC";
	return to;
}

NOLIBC_FN struct tm *gmtime(const time_t *time)
{
	static struct tm made;

	return gmtime_r(time, &made);
}

NOLIBC_FN struct tm *localtime_r(const time_t *time, struct tm *to)
{
	return gmtime_r(time, to);
}

NOLIBC_FN struct tm *localtime(const time_t *time)
{
	return gmtime(time);
}

NOLIBC_FN time_t timegm(struct tm *from)
{
	long month = from->tm_mon % 12, year = from->tm_year + 1900L + from->tm_mon / 12;
	time_t made;

	if (month < 0) {
		month += 12;
		year--;
	}
	made = (time_t)__nolibc_days(year, (int)month + 1, 1) + from->tm_mday - 1;
	made = made * 86400 + from->tm_hour * 3600L + from->tm_min * 60L + from->tm_sec;
	gmtime_r(&made, from);
	return made;
}

NOLIBC_FN time_t mktime(struct tm *from)
{
	return timegm(from);
}

NOLIBC_FN void tzset(void)
{
}

/* The n-th of names that each end with a 0; "?" where there is none. */
NOLIBC_FN const char *__nolibc_name(const char *names, int n, int count)
{
	if (n < 0 || n >= count)
		return "?";
	while (n--)
		names += strlen(names) + 1;
	return names;
}

/* Days beyond 52 weeks that a year has: 1 or 2.  Years from 1900. */
NOLIBC_FN int __nolibc_days_over(int year)
{
	year = year % 400 + 700;
	return 1 + (year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
}

/* ISO 8601: a week begins on Monday and belongs to the year that has its Thursday: *years later. */
NOLIBC_FN int __nolibc_iso_week(const struct tm *from, int *years)
{
	int monday = (from->tm_wday + 6) % 7, week = (from->tm_yday - monday + 10) / 7;
	int first = (monday - from->tm_yday % 7 + 7) % 7; /* 1 January's day, from Monday */
	int over = __nolibc_days_over(from->tm_year);

	*years = 0;
	if (!week) {
		*years = -1;
		over = __nolibc_days_over(from->tm_year - 1);
		first = (first - over + 7) % 7;
		week = 52 + (first == 3 || (first == 2 && over == 2));
	} else if (week == 53 && first != 3 && (first != 2 || over == 1)) {
		*years = 1;
		week = 1;
	}
	return week;
}

/* The "C" locale's, with glibc's flags _ - 0 ^ # and a width. */
NOLIBC_FN size_t strftime(char *to, size_t size, const char *format, const struct tm *from)
{
	size_t n = 0;

	for (; *format; format++) {
		const char *start = format, *text = NULL, *parts = NULL;
		char made[64], pad = '0', flag = 0, sign = 0;
		long long number = 0;
		int width = 0, least = 2, most = __INT_MAX__, upper = 0, lower = 0, change = 0, years, length = 0;
		struct tm copy;

		if (*format != '%') {
			text = format;
			most = 1;
			goto emit;
		}
		for (format++; *format && __nolibc_strchr("_-0^#", *format); format++) {
			if (*format == '^')
				upper = 1;
			else if (*format == '#')
				change = 1;
			else
				flag = *format;
		}
		while (*format >= '0' && *format <= '9' && width < 10000)
			width = width * 10 + *format++ - '0';
		if (*format == 'E' || *format == 'O')
			format++;
		switch (*format) {
		case '%': text = "%"; break;
		case 'n': text = "\n"; break;
		case 't': text = "\t"; break;
		case 'Z': text = from->tm_zone ? from->tm_zone : ""; lower = change; break;
		case 'p': case 'P':
			text = from->tm_hour < 12 ? "AM" : "PM";
			lower = change || *format == 'P';
			break;
		case 'a': case 'A':
			text = __nolibc_name("Sunday\0Monday\0Tuesday\0Wednesday\0Thursday\0Friday\0Saturday",
					     from->tm_wday, 7);
			most = *format == 'a' ? 3 : most;
			upper |= change;
			break;
		case 'b': case 'B': case 'h':
			text = __nolibc_name("January\0February\0March\0April\0May\0June\0July\0August\0"
					     "September\0October\0November\0December", from->tm_mon, 12);
			most = *format == 'B' ? most : 3;
			upper |= change;
			break;
		case 'c': parts = "%a %b %e %H:%M:%S %Y"; break;
		case 'D': case 'x': parts = "%m/%d/%y"; break;
		case 'F': parts = "%Y-%m-%d"; break;
		case 'r': parts = "%I:%M:%S %p"; break;
		case 'R': parts = "%H:%M"; break;
		case 'T': case 'X': parts = "%H:%M:%S"; break;
		case 'C': number = from->tm_year / 100 + 19 - (from->tm_year % 100 < 0); break;
		case 'd': number = from->tm_mday; break;
		case 'e': number = from->tm_mday; pad = ' '; break;
		case 'g':
			__nolibc_iso_week(from, &years);
			number = (from->tm_year % 100 + years + 100) % 100;
			break;
		case 'G':
			__nolibc_iso_week(from, &years);
			number = from->tm_year + 1900LL + years;
			least = 1;
			break;
		case 'H': number = from->tm_hour; break;
		case 'I': number = (from->tm_hour + 11) % 12 + 1; break;
		case 'j': number = from->tm_yday + 1; least = 3; break;
		case 'k': number = from->tm_hour; pad = ' '; break;
		case 'l': number = (from->tm_hour + 11) % 12 + 1; pad = ' '; break;
		case 'm': number = from->tm_mon + 1; break;
		case 'M': number = from->tm_min; break;
		case 's': copy = *from; number = timegm(&copy); least = 1; break;
		case 'S': number = from->tm_sec; break;
		case 'u': number = (from->tm_wday + 6) % 7 + 1; least = 1; break;
		case 'U': number = (from->tm_yday + 7 - from->tm_wday) / 7; break;
		case 'V': number = __nolibc_iso_week(from, &years); break;
		case 'w': number = from->tm_wday; least = 1; break;
		case 'W': number = (from->tm_yday + 7 - (from->tm_wday + 6) % 7) / 7; break;
		case 'y': number = (from->tm_year % 100 + 100) % 100; break;
		case 'Y': number = from->tm_year + 1900LL; least = 1; break;
		case 'z':
			number = from->tm_gmtoff / 3600 * 100 + from->tm_gmtoff / 60 % 60;
			least = 5;
			sign = '+';
			break;
		default: /* unknown: as it stands */
			text = start;
			format -= !*format;
			most = (int)(format - start) + 1;
			width = 0;
			goto emit;
		}
		if (parts) {
			strftime(made, sizeof(made), parts, from);
			text = made;
		}
emit:
		if (text) {
			for (length = 0; length < most && text[length]; length++)
				NOLIBC_KEEP_LOOP();
			least = 0;
			pad = ' ';
		} else {
			if (number < 0) {
				number = -number;
				sign = '-';
			}
			text = __nolibc_digits(made + sizeof(made), (unsigned long long)number, 10, "0123456789");
			length = (int)(made + sizeof(made) - text);
		}
		if (flag)
			pad = flag == '0' ? '0' : ' ';
		if (width < least && flag != '-')
			width = least;
		width -= length + !!sign;
		if (size - n <= (size_t)(width > 0 ? width : 0) + (size_t)length + !!sign)
			return 0;
		for (; width > 0 && pad == ' '; width--)
			to[n++] = ' ';
		if (sign)
			to[n++] = sign;
		for (; width > 0; width--)
			to[n++] = pad;
		for (; length--; text++)
			to[n++] = (char)(lower ? tolower((unsigned char)*text) :
					 upper ? toupper((unsigned char)*text) : *text);
	}
	if (!size)
		return 0;
	to[n] = 0;
	return n;
}

NOLIBC_FN char *asctime_r(const struct tm *from, char *to)
{
	if (strftime(to, 26, "%a %b %e %H:%M:%S %Y\n", from))
		return to;
	NOLIBC_SET_ERRNO(EOVERFLOW);
	return NULL;
}

NOLIBC_FN char *asctime(const struct tm *from)
{
	static char to[26];

	return asctime_r(from, to);
}

NOLIBC_FN char *ctime_r(const time_t *time, char *to)
{
	struct tm made;

	return asctime_r(localtime_r(time, &made), to);
}

NOLIBC_FN char *ctime(const time_t *time)
{
	return asctime(localtime(time));
}

#endif
