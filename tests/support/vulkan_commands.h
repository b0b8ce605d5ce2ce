/* The commands that vulkan_script.c records, and its loop over lines. */

static void barrier(void)
{
	VkMemoryBarrier all = { .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
				.srcAccessMask = VK_ACCESS_MEMORY_WRITE_BIT | VK_ACCESS_HOST_WRITE_BIT,
				.dstAccessMask = VK_ACCESS_MEMORY_READ_BIT | VK_ACCESS_MEMORY_WRITE_BIT };

	vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT | VK_PIPELINE_STAGE_HOST_BIT,
			     VK_PIPELINE_STAGE_ALL_COMMANDS_BIT | VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &all, 0, NULL, 0, NULL);
}

static void begin(void)
{
	VkCommandBufferBeginInfo info = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO };

	commands = primary;
	CHECK(vkBeginCommandBuffer(commands, &info));
}

static void submit(void)
{
	VkSubmitInfo info = { .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 1, .pCommandBuffers = &primary };

	barrier();
	CHECK(vkEndCommandBuffer(primary));
	CHECK(vkQueueSubmit(queue, 1, &info, VK_NULL_HANDLE));
	CHECK(vkQueueWaitIdle(queue));
}

/* general IMAGE: from undefined to the general layout */
static void general(void)
{
	int id = object();
	VkImageMemoryBarrier one = { .sType = VK_STRUCTURE_TYPE_IMAGE_MEMORY_BARRIER,
				     .dstAccessMask = VK_ACCESS_MEMORY_READ_BIT | VK_ACCESS_MEMORY_WRITE_BIT,
				     .newLayout = VK_IMAGE_LAYOUT_GENERAL, .image = images[id].handle,
				     .subresourceRange = { images[id].aspect, 0, images[id].levels, 0, images[id].layers } };

	vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, 0, 0, NULL,
			     0, NULL, 1, &one);
}

static VkRenderingAttachmentInfo attachment(int depth)
{
	VkRenderingAttachmentInfo info = { .sType = VK_STRUCTURE_TYPE_RENDERING_ATTACHMENT_INFO,
					   .imageLayout = VK_IMAGE_LAYOUT_GENERAL };

	info.imageView = views[object()];
	info.loadOp = number();
	info.storeOp = number();
	if (depth) {
		info.clearValue.depthStencil.depth = real();
		info.clearValue.depthStencil.stencil = number();
		return info;
	}
	/* Clear values: with a dot they are floats, else integers. */
	for (int n = 0; n < 4; n++) {
		if (strchr(words[next], '.'))
			info.clearValue.color.float32[n] = real();
		else
			info.clearValue.color.uint32[n] = number();
	}
	return info;
}

/* rendering X Y W H LAYERS then color VIEW LOAD STORE C C C C | depth/stencil VIEW LOAD STORE Z S | resolve MODE VIEW |
 * views MASK | secondary */
static void rendering(void)
{
	VkRenderingAttachmentInfo colors[8], depth, stencil;
	VkRenderingInfo info = { .sType = VK_STRUCTURE_TYPE_RENDERING_INFO, .pColorAttachments = colors };

	info.renderArea.offset.x = number();
	info.renderArea.offset.y = number();
	info.renderArea.extent.width = number();
	info.renderArea.extent.height = number();
	info.layerCount = number();
	while (next < count) {
		if (keyed("color"))
			colors[info.colorAttachmentCount++] = attachment(0);
		else if (keyed("depth")) {
			depth = attachment(1);
			info.pDepthAttachment = &depth;
		} else if (keyed("stencil")) {
			stencil = attachment(1);
			info.pStencilAttachment = &stencil;
		} else if (keyed("resolve")) {
			VkRenderingAttachmentInfo *last = &colors[info.colorAttachmentCount - 1];

			last->resolveMode = number();
			last->resolveImageView = views[object()];
			last->resolveImageLayout = VK_IMAGE_LAYOUT_GENERAL;
		} else if (keyed("views"))
			info.viewMask = number();
		else if (keyed("secondary"))
			info.flags = VK_RENDERING_CONTENTS_SECONDARY_COMMAND_BUFFERS_BIT;
		else
			exit(2);
	}
	vkCmdBeginRenderingKHR(commands, &info);
}

/* secondary ID: what follows, up to "primary", is recorded into it; secondary ID FORMAT inside rendering */
static void secondary(void)
{
	int id = object();
	VkFormat format;
	VkCommandBufferAllocateInfo ainfo = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO, .commandPool = pool,
					      .level = VK_COMMAND_BUFFER_LEVEL_SECONDARY, .commandBufferCount = 1 };
	VkCommandBufferInheritanceRenderingInfo inside = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_INHERITANCE_RENDERING_INFO, .colorAttachmentCount = 1,
		.pColorAttachmentFormats = &format, .rasterizationSamples = 1
	};
	VkCommandBufferInheritanceInfo inherit = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_INHERITANCE_INFO };
	VkCommandBufferBeginInfo info = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO, .pInheritanceInfo = &inherit };

	if (next < count) {
		format = number();
		inherit.pNext = &inside;
		info.flags = VK_COMMAND_BUFFER_USAGE_RENDER_PASS_CONTINUE_BIT;
	}
	CHECK(vkAllocateCommandBuffers(device, &ainfo, &secondaries[id]));
	commands = secondaries[id];
	CHECK(vkBeginCommandBuffer(commands, &info));
}

static VkImageSubresourceLayers subresource(int image)
{
	VkImageSubresourceLayers one = { .aspectMask = images[image].aspect };

	one.mipLevel = number();
	one.baseArrayLayer = number();
	one.layerCount = number();
	return one;
}

static VkOffset3D place(void)
{
	VkOffset3D at;

	at.x = number();
	at.y = number();
	at.z = number();
	return at;
}

static VkExtent3D extent(void)
{
	VkOffset3D at = place();

	return (VkExtent3D){ at.x, at.y, at.z };
}

/* upload|download BUFFER IMAGE OFFSET ROW HEIGHT LEVEL LAYER LAYERS X Y Z W H D [ASPECT] */
static void transfer(int up)
{
	VkBuffer buffer = buffers[object()].handle;
	int image = object();
	VkBufferImageCopy region;

	region.bufferOffset = number();
	region.bufferRowLength = number();
	region.bufferImageHeight = number();
	region.imageSubresource = subresource(image);
	region.imageOffset = place();
	region.imageExtent = extent();
	if (next < count)
		region.imageSubresource.aspectMask = number();
	if (up)
		vkCmdCopyBufferToImage(commands, buffer, images[image].handle, VK_IMAGE_LAYOUT_GENERAL, 1, &region);
	else
		vkCmdCopyImageToBuffer(commands, images[image].handle, VK_IMAGE_LAYOUT_GENERAL, buffer, 1, &region);
}

/* copy|resolve FROM LEVEL LAYER LAYERS X Y Z TO LEVEL LAYER LAYERS X Y Z W H D */
static void copy_image(int resolve)
{
	int from = object();
	VkImageSubresourceLayers source = subresource(from);
	VkOffset3D source_at = place();
	int to = object();
	VkImageSubresourceLayers target = subresource(to);
	VkOffset3D target_at = place();
	VkImageCopy copied = { source, source_at, target, target_at, extent() };
	VkImageResolve resolved = { source, source_at, target, target_at, copied.extent };

	if (resolve)
		vkCmdResolveImage(commands, images[from].handle, VK_IMAGE_LAYOUT_GENERAL, images[to].handle,
				  VK_IMAGE_LAYOUT_GENERAL, 1, &resolved);
	else
		vkCmdCopyImage(commands, images[from].handle, VK_IMAGE_LAYOUT_GENERAL, images[to].handle,
			       VK_IMAGE_LAYOUT_GENERAL, 1, &copied);
}

/* blit FROM LEVEL LAYER LAYERS X Y Z X Y Z TO LEVEL LAYER LAYERS X Y Z X Y Z FILTER */
static void blit(void)
{
	VkImageBlit region;
	int from = object(), to;

	region.srcSubresource = subresource(from);
	region.srcOffsets[0] = place();
	region.srcOffsets[1] = place();
	to = object();
	region.dstSubresource = subresource(to);
	region.dstOffsets[0] = place();
	region.dstOffsets[1] = place();
	vkCmdBlitImage(commands, images[from].handle, VK_IMAGE_LAYOUT_GENERAL, images[to].handle, VK_IMAGE_LAYOUT_GENERAL, 1,
		       &region, number());
}

/* clear IMAGE LEVEL LEVELS LAYER LAYERS then four values, or depth and stencil */
static void clear_image(void)
{
	int id = object();
	VkImageSubresourceRange range = { .aspectMask = images[id].aspect };
	VkClearColorValue color;
	VkClearDepthStencilValue zs;

	range.baseMipLevel = number();
	range.levelCount = number();
	range.baseArrayLayer = number();
	range.layerCount = number();
	if (range.aspectMask != VK_IMAGE_ASPECT_COLOR_BIT) {
		zs.depth = real();
		zs.stencil = number();
		vkCmdClearDepthStencilImage(commands, images[id].handle, VK_IMAGE_LAYOUT_GENERAL, &zs, 1, &range);
		return;
	}
	for (int n = 0; n < 4; n++) {
		if (strchr(words[next], '.'))
			color.float32[n] = real();
		else
			color.uint32[n] = number();
	}
	vkCmdClearColorImage(commands, images[id].handle, VK_IMAGE_LAYOUT_GENERAL, &color, 1, &range);
}

/* clearattachment ASPECT INDEX X Y W H then values as in clear */
static void clear_attachment(void)
{
	VkClearAttachment what;
	VkClearRect where = { .layerCount = 1 };

	what.aspectMask = number();
	what.colorAttachment = number();
	where.rect.offset.x = number();
	where.rect.offset.y = number();
	where.rect.extent.width = number();
	where.rect.extent.height = number();
	if (what.aspectMask != VK_IMAGE_ASPECT_COLOR_BIT) {
		what.clearValue.depthStencil.depth = real();
		what.clearValue.depthStencil.stencil = number();
	} else {
		for (int n = 0; n < 4; n++) {
			if (strchr(words[next], '.'))
				what.clearValue.color.float32[n] = real();
			else
				what.clearValue.color.uint32[n] = number();
		}
	}
	vkCmdClearAttachments(commands, 1, &what, 1, &where);
}

static void use(void)
{
	current = object();
	vkCmdBindPipeline(commands, pipelines[current].point, pipelines[current].handle);
	if (pipelines[current].set >= 0)
		vkCmdBindDescriptorSets(commands, pipelines[current].point, pipelines[current].layout, 0, 1,
					&sets[pipelines[current].set].set, 0, NULL);
}

/* push WORD...; "@ID" is the address of a buffer, low word then high */
static void push(void)
{
	uint32_t values[64], n = 0;

	while (next < count) {
		const char *text = word();

		if (*text == '@') {
			VkBufferDeviceAddressInfo info = { .sType = VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO,
							   .buffer = buffers[atoi(text + 1)].handle };
			uint64_t at = vkGetBufferDeviceAddressKHR(device, &info);

			values[n++] = at;
			values[n++] = at >> 32;
		} else if (strchr(text, '.')) {
			float value = strtof(text, NULL);

			memcpy(&values[n++], &value, 4);
		} else {
			values[n++] = strtoul(text, NULL, 0);
		}
	}
	vkCmdPushConstants(commands, pipelines[current].layout, VK_SHADER_STAGE_ALL, 0, 4 * n, values);
}

static void make_query(void)
{
	int id = object();
	VkQueryPoolCreateInfo info = { .sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO };

	info.queryType = number();
	info.queryCount = number();
	CHECK(vkCreateQueryPool(device, &info, NULL, &queries[id]));
}

static void make_event(void)
{
	VkEventCreateInfo info = { .sType = VK_STRUCTURE_TYPE_EVENT_CREATE_INFO };

	CHECK(vkCreateEvent(device, &info, NULL, &events[object()]));
}

static void wait_event(void)
{
	VkMemoryBarrier all = { .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER, .srcAccessMask = VK_ACCESS_MEMORY_WRITE_BIT,
				.dstAccessMask = VK_ACCESS_MEMORY_READ_BIT };

	vkCmdWaitEvents(commands, 1, &events[object()], VK_PIPELINE_STAGE_ALL_COMMANDS_BIT,
			VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, 1, &all, 0, NULL, 0, NULL);
}

/* save BUFFER FILE */
static void save(void)
{
	int id = object();
	FILE *file = fopen(word(), "wb");

	if (!file || fwrite(buffers[id].data, 1, buffers[id].size, file) != buffers[id].size || fclose(file))
		exit(2);
}

static void record(void)
{
	uint64_t a[8];
	VkDeviceSize offset;
#define IS(text) (!strcmp(words[0], text))
#define TAKE(n)                              \
	for (int i_ = 0; i_ < (n); i_++)     \
		a[i_] = number();
	if (IS("use"))
		use();
	else if (IS("push"))
		push();
	else if (IS("dispatch")) {
		TAKE(3);
		vkCmdDispatch(commands, a[0], a[1], a[2]);
	} else if (IS("dispatch_indirect")) {
		TAKE(2);
		vkCmdDispatchIndirect(commands, buffers[a[0]].handle, a[1]);
	} else if (IS("vertices")) {
		TAKE(3);
		offset = a[2];
		vkCmdBindVertexBuffers(commands, a[0], 1, &buffers[a[1]].handle, &offset);
	} else if (IS("indices")) {
		TAKE(3);
		vkCmdBindIndexBuffer(commands, buffers[a[0]].handle, a[1], a[2]);
	} else if (IS("draw")) {
		TAKE(4);
		vkCmdDraw(commands, a[0], a[1], a[2], a[3]);
	} else if (IS("draw_indexed")) {
		TAKE(5);
		vkCmdDrawIndexed(commands, a[0], a[1], a[2], a[3], a[4]);
	} else if (IS("draw_indirect")) {
		TAKE(4);
		vkCmdDrawIndirect(commands, buffers[a[0]].handle, a[1], a[2], a[3]);
	} else if (IS("draw_indexed_indirect")) {
		TAKE(4);
		vkCmdDrawIndexedIndirect(commands, buffers[a[0]].handle, a[1], a[2], a[3]);
	} else if (IS("viewport")) {
		VkViewport view;

		view.x = real(), view.y = real(), view.width = real(), view.height = real();
		view.minDepth = real(), view.maxDepth = real();
		vkCmdSetViewport(commands, 0, 1, &view);
	} else if (IS("scissor")) {
		TAKE(4);
		vkCmdSetScissor(commands, 0, 1, &(VkRect2D){ { a[0], a[1] }, { a[2], a[3] } });
	} else if (IS("fill")) {
		TAKE(4);
		vkCmdFillBuffer(commands, buffers[a[0]].handle, a[1], a[2], a[3]);
	} else if (IS("update")) {
		TAKE(3);
		vkCmdUpdateBuffer(commands, buffers[a[0]].handle, a[1], 4, &(uint32_t){ a[2] });
	} else if (IS("copy_buffer")) {
		TAKE(5);
		vkCmdCopyBuffer(commands, buffers[a[0]].handle, buffers[a[1]].handle, 1,
				&(VkBufferCopy){ a[2], a[3], a[4] });
	} else if (IS("reset_query")) {
		TAKE(3);
		vkCmdResetQueryPool(commands, queries[a[0]], a[1], a[2]);
	} else if (IS("begin_query")) {
		TAKE(3);
		vkCmdBeginQuery(commands, queries[a[0]], a[1], a[2]);
	} else if (IS("end_query")) {
		TAKE(2);
		vkCmdEndQuery(commands, queries[a[0]], a[1]);
	} else if (IS("timestamp")) {
		TAKE(2);
		vkCmdWriteTimestamp(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, queries[a[0]], a[1]);
	} else if (IS("copy_query")) {
		TAKE(7);
		vkCmdCopyQueryPoolResults(commands, queries[a[0]], a[1], a[2], buffers[a[3]].handle, a[4], a[5], a[6]);
	} else if (IS("query_to")) {
		TAKE(5); /* pool, first, count, buffer, flags */
		CHECK(vkGetQueryPoolResults(device, queries[a[0]], a[1], a[2], buffers[a[3]].size, buffers[a[3]].data, 8, a[4]));
	} else if (IS("set_event")) {
		TAKE(1);
		vkCmdSetEvent(commands, events[a[0]], VK_PIPELINE_STAGE_ALL_COMMANDS_BIT);
	} else if (IS("execute")) {
		TAKE(1);
		vkCmdExecuteCommands(commands, 1, &secondaries[a[0]]);
	} else {
		printf("%s: no command %s\n", name, words[0]);
		exit(2);
	}
}

static const struct { const char *word; void (*run)(void); } verbs[] = {
	{ "buffer", make_buffer }, { "image", make_image }, { "view", make_view }, { "bufferview", make_buffer_view },
	{ "conversion", make_conversion }, { "sampler", make_sampler }, { "set", make_set }, { "compute", make_compute },
	{ "graphics", make_graphics },
	{ "query", make_query }, { "event", make_event }, { "begin", begin }, { "submit", submit }, { "barrier", barrier },
	{ "general", general }, { "rendering", rendering }, { "secondary", secondary }, { "blit", blit },
	{ "clear", clear_image }, { "clear_attachment", clear_attachment }, { "wait_event", wait_event }, { "save", save },
	{ "formats", formats }, { "sparse", sparse },
};

static void line(void)
{
	for (size_t n = 0; n < sizeof(verbs) / sizeof(*verbs); n++)
		if (!strcmp(words[0], verbs[n].word)) {
			verbs[n].run();
			return;
		}
	if (IS("upload") || IS("download"))
		transfer(IS("upload"));
	else if (IS("copy") || IS("resolve"))
		copy_image(IS("resolve"));
	else if (IS("end_rendering"))
		vkCmdEndRenderingKHR(commands);
	else if (IS("primary")) {
		CHECK(vkEndCommandBuffer(commands));
		commands = primary;
	} else
		record();
}

int main(int argc, char **argv)
{
	int first = argc > 3 ? atoi(argv[3]) : 0, at = -1;
	static char text[65536];
	FILE *file = argc > 2 ? fopen(argv[1], "r") : NULL;

	if (!file || !freopen(argv[2], "a", stdout))
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	start();
	while (fgets(text, sizeof(text), file)) {
		count = 0;
		for (char *one = strtok(text, " \n"); one && count < WORDS; one = strtok(NULL, " \n"))
			words[count++] = one;
		if (!count)
			continue;
		next = 1;
		if (IS("case")) {
			if (at >= first)
				printf("%s: done\n", name);
			name = strdup(word());
			at++;
		} else if (at >= first)
			line();
	}
	printf("%s: done\n", name);
	fflush(stdout);
	/* Objects go with the process. */
	_exit(0);
}
